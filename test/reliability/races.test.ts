/** RELIABILITY group D: races between requests, invalidations and processes. See also test/engine/concurrency.test.ts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createCachedFetch,
  MemoryStore,
  type CacheOptions,
  type ListableStore,
  type MaybePromise,
  type Store,
  type StoredEntry,
} from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock, FaultyStore, verifyBody, wholeBody } from '../../src/testing/index.ts'
import { answering, bench, fresh, FRESH, newFile, settled, STORES, until, useOrigin, type Bench } from './support.ts'

const origin = useOrigin()

interface Gate {
  readonly opened: Promise<void>
  open(): void
}

function gate(): Gate {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open() }
}

describe.each(STORES)('on %s', (_, make) => {
  test.each([
    ['private', { 'cache-control': 'private, max-age=60' }],
    ['no-store', { 'cache-control': 'no-store' }],
    ['Set-Cookie', { 'cache-control': 'max-age=60', 'set-cookie': 'user=someone' }],
    ['Vary on what differs', { 'cache-control': 'max-age=60', vary: 'x-user' }],
    ['no freshness, with a cookie', {}],
  ])('D60: who waited gets nobody else\u2019s answer when it turns out to be %s', async (_title, headers) => {
    const path = fresh('whose')
    const held = gate()
    origin().route(path, async ({ request }) => {
      await held.opened
      return { headers, body: `for ${request.header('x-user')}` }
    })
    const { fetch } = bench({ store: make(), shared: true })
    const users = Array.from({ length: 10 }, (_user, n) => `user ${n}`)
    const bodies = Promise.all(
      users.map(async (user) =>
        (await fetch(origin().url + path, { headers: { 'x-user': user, cookie: `session=${user}` } })).text(),
      ),
    )
    await until(() => origin().count(path) > 0)
    held.open()
    expect(await bodies).toEqual(users.map((user) => `for ${user}`))
    await fetch.close()
  })

  test('D62: a leader whose body breaks costs the herd one more try, not ten', async () => {
    const path = fresh('breaks')
    const held = gate()
    const answers = [
      async () => {
        await held.opened
        return { headers: { ...FRESH, 'content-length': 1000 }, body: 'half', cut: 'end' as const }
      },
      { headers: FRESH, body: wholeBody(1000) },
    ]
    origin().script(path, answers, 'last')
    const { fetch } = bench({ store: make() })
    const herd = Array.from({ length: 10 }, async () => (await fetch(origin().url + path)).bytes())
    await until(() => origin().count(path) === 1)
    held.open()
    const results = await Promise.allSettled(herd)
    const bodies = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    expect(bodies.length).toBeGreaterThanOrEqual(9)
    for (const body of bodies) expect((await verifyBody(body)).valid).toBe(true)
    await fetch.close()
  })

  test('D64: a refresh that failed is tried again, in growing pauses, never more often', async () => {
    const path = fresh('refresh')
    let healthy = true
    origin().route(path, () =>
      healthy
        ? { headers: { 'cache-control': 'max-age=1, stale-while-revalidate=86400' }, body: 'good' }
        : { empty: true },
    )
    const { fetch, clock, events } = bench({ store: make() })
    const url = origin().url + path
    await (await fetch(url)).text()
    healthy = false
    clock.advance(5000)
    const failed = (): number => events.filter(({ type }) => type === 'refresh-failed').length
    for (const [advance, failures] of [
      [0, 1],
      [500, 1],
      [501, 2],
      [1500, 2],
      [501, 3],
    ] as const) {
      clock.advance(advance)
      for (let n = 0; n < 5; n++) expect(await (await fetch(url)).text()).toBe('good')
      await until(() => failed() === failures)
      await settled()
      expect([failed(), origin().count(path)]).toEqual([failures, failures + 1])
    }
    healthy = true
    clock.advance(60_000)
    await (await fetch(url)).text()
    await until(() => fetch.stats().stored === 2)
    expect((await fetch(url)).fromCache).toBe(true)
    clock.advance(86_500_000)
    healthy = false
    await expect(fetch(url)).rejects.toThrow('fetch failed')
    await fetch.close()
  })

  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])(
    'D65: what a GET was fetching when a %s changed it is answered with, but not stored',
    async (method) => {
      const path = fresh('changed')
      const held = gate()
      let version = 'old'
      origin().route(`GET ${path}`, async ({ request }) => {
        const body = `${version} ${'x'.repeat(300_000)}`
        if (request.serial === 1) await held.opened
        return { headers: FRESH, body }
      })
      origin().route(`${method} ${path}`, () => {
        version = 'new'
        return { status: 204 }
      })
      const { fetch, events } = bench({ store: make() })
      const url = origin().url + path
      const early = fetch(url).then((response) => response.text())
      await until(() => origin().count(path) === 1)
      await fetch(url, { method })
      held.open()
      expect((await early).slice(0, 3)).toBe('old')
      await until(() => fetch.stats().refused > 0)
      expect(events.flatMap((event) => (event.type === 'refused' ? [event.reason] : []))).toEqual(['invalidated'])
      expect(await fetch.cache.has(url)).toBe(false)
      expect((await (await fetch(url)).text()).slice(0, 3)).toBe('new')
      await fetch.close()
    },
  )

  test('D65: clear() and tags fence what is under way, too', async () => {
    const path = fresh('cleared')
    for (const invalidate of ['clear', 'tag'] as const) {
      const held = gate()
      origin().route(path, async () => {
        await held.opened
        return { headers: FRESH, body: 'old' }
      })
      const { fetch } = bench({ store: make(), tags: ['t'] })
      origin().reset()
      const early = fetch(origin().url + path).then((response) => response.text())
      await until(() => origin().count(path) === 1)
      await (invalidate === 'clear' ? fetch.cache.clear() : fetch.cache.delete({ tag: 't' }))
      held.open()
      expect(await early).toBe('old')
      await until(() => fetch.stats().refused > 0)
      expect(await fetch.cache.has(origin().url + path)).toBe(false)
      await fetch.close()
    }
  })

  test('D68: who reads an entry while it is replaced and deleted reads it to its end', async () => {
    const { fetch } = bench({ store: make() })
    const path = fresh('replaced')
    origin().route(path, ({ request }) => ({ headers: FRESH, body: wholeBody(1_500_000, request.serial) }))
    const url = origin().url + path
    await (await fetch(url)).bytes()
    await until(() => fetch.stats().stored === 1)
    const readers = await Promise.all([1, 2, 3].map(async () => (await fetch(url)).body?.getReader()))
    const got: Uint8Array[][] = [[], [], []]
    const read = async (n: number): Promise<boolean> => {
      const { done, value } = (await readers[n]?.read()) ?? { done: true, value: undefined }
      if (value !== undefined) got[n]?.push(value)
      return !done
    }
    for (const n of [0, 1, 2]) await read(n)
    await (await fetch(url, { cache: 'reload' })).bytes()
    await until(() => fetch.stats().stored === 2)
    while (await read(0));
    await fetch.cache.delete({ url })
    while (await read(1));
    await fetch.cache.clear()
    while (await read(2));
    for (const parts of got)
      expect((await verifyBody(Buffer.concat(parts), { size: 1_500_000, seed: 1 })).valid).toBe(true)
    await fetch.close()
  })

  test('D70: what a caller does to a response changes nothing for the next', async () => {
    const { fetch } = bench({ store: make() })
    const url = `${origin().url}/large/1000?max-age=60`
    for (let n = 0; n < 4; n++) {
      const response = await fetch(url)
      expect([n, response.headers.get('content-type'), response.headers.get('x-mine')]).toEqual([
        n,
        'application/octet-stream',
        null,
      ])
      const bytes = n % 2 === 0 ? await response.bytes() : new Uint8Array(await response.arrayBuffer())
      expect((await verifyBody(bytes)).valid).toBe(true)
      bytes.fill(0)
      response.headers.set('x-mine', 'yes')
      response.headers.delete('content-type')
      const { body } = await fetch(url)
      if (body !== null) for await (const chunk of body) chunk.fill(0)
    }
    expect(origin().requests).toHaveLength(1)
    await fetch.close()
  })
})

describe('D65: what an invalidation overtakes is not stored', () => {
  const PAGE = 'http://o.test/'

  interface Held {
    readonly fetch: Bench['fetch']
    readonly answer: ReturnType<typeof answering>
    readonly open: () => void
    readonly store: MemoryStore
  }

  /** Answers of the origin wait for the gate, but for those to PUT. */
  function held(options: CacheOptions = {}, headers: Record<string, string> = FRESH): Held {
    const { opened, open } = gate()
    const store = new MemoryStore()
    const answer = answering(async ({ method }, n) => {
      if (method === 'PUT') return new Response(null, { status: 204 })
      await opened
      return new Response(`answer ${n}`, { headers })
    })
    return { ...bench({ store, ...options, fetch: answer }), answer, open, store }
  }

  const WAYS: readonly (readonly [name: string, RequestInit[]])[] = [
    ['one', [{}]],
    ['two at once', [{ cache: 'reload' }, { cache: 'reload' }]],
    ['three, of different kinds', [{}, { cache: 'reload' }, { headers: { 'if-none-match': '"x"' } }]],
    ['one with a condition of its own', [{ headers: { 'if-none-match': '"x"' } }]],
    ['one of another identity', [{ headers: { authorization: 'a' } }]],
    ['several identities', [{ headers: { authorization: 'a' } }, { headers: { authorization: 'b' } }, {}]],
    ['a HEAD', [{ method: 'HEAD' }]],
  ]

  test.each(
    WAYS.flatMap(([name, inits]) =>
      (['PUT', 'url', 'pattern', 'clear'] as const).map((by) => [name, by, inits] as const),
    ),
  )('%s, by %s', async (_title, by, inits) => {
    const { fetch, answer, open, store } = held()
    const early = inits.map(async (init) => (await fetch(PAGE, init)).text())
    await until(() => answer.count() === inits.length)
    if (by === 'PUT') await fetch(PAGE, { method: 'PUT' })
    else if (by === 'clear') await fetch.cache.clear()
    else await fetch.cache.delete(by === 'url' ? { url: PAGE } : { pattern: 'o.test/**' })
    open()
    await Promise.all(early)
    await settled()
    for await (const key of store.keys()) expect.fail(key)
  })

  test('variants, on a store that answers late: neither the entry nor its row in the index', async () => {
    const inner = new MemoryStore()
    const writing = gate()
    const late: Store = {
      name: 'late',
      limits: inner.limits,
      read: async (key) => inner.read(key),
      write: async (head, body) => {
        // The entry is in, its row is on its way: then the URL changes.
        if (head.meta.kind === 'variants') await writing.opened
        await inner.write(head, body)
      },
      update: async (...change) => inner.update(...change),
      delete: async (keys) => inner.delete(keys),
      close: () => inner.close(),
    }
    const { fetch, answer, open } = held({ store: late, storeTimeout: 60 }, { ...FRESH, vary: 'accept' })
    open()
    expect(await (await fetch(PAGE, { headers: { accept: 'a' } })).text()).toBe('answer 1')
    await settled()
    await fetch(PAGE, { method: 'PUT' })
    writing.open()
    await settled()
    expect((await fetch(PAGE, { headers: { accept: 'a' } })).fromCache).toBe(false)
    expect(answer.count()).toBe(3)
  })

  test('a write that was given up and is stored after all is taken back', async () => {
    const inner = new MemoryStore()
    const writing = gate()
    let landed = false
    const store: Store = Object.assign(new FaultyStore(inner), {
      write: async (...given: Parameters<Store['write']>) => {
        await writing.opened
        await inner.write(...given)
        landed = true
      },
    })
    const { fetch, open, events } = { ...held({ store, storeTimeout: 0.01 }), events: [] as string[] }
    fetch.on('error', ({ operation }) => events.push(operation))
    open()
    await (await fetch(PAGE)).text()
    await until(() => events.includes('write'))
    await fetch(PAGE, { method: 'PUT' })
    writing.open()
    await until(() => landed)
    await settled()
    expect(inner.read(`GET ${PAGE}`)).toBeUndefined()
  })

  test('who asks after it is not answered by what was asked for before it', async () => {
    for (const headers of [{}, { authorization: 'a' }]) {
      const { fetch, answer, open } = held()
      const early = fetch(PAGE, { headers }).then((response) => response.text())
      await until(() => answer.count() === 1)
      await fetch(PAGE, { method: 'PUT' })
      const after = fetch(PAGE, { headers }).then((response) => response.text())
      await until(() => answer.count() === 3)
      open()
      expect([await early, await after]).toEqual(['answer 1', 'answer 3'])
      await settled()
      expect(await (await fetch(PAGE, { headers })).text()).toBe('answer 3')
    }
  })

  /** A store whose reads, once begun, and whose deletes and clearing wait where they are told to. */
  function waiting(): { store: ListableStore; hold: (method: string) => Gate; reads: () => number } {
    const inner = new MemoryStore()
    const gates = new Map<string, Gate>()
    const pass = async (method: string): Promise<void> => gates.get(method)?.opened
    let reads = 0
    const store: ListableStore = {
      name: 'waiting',
      limits: { ...inner.limits, persistent: true },
      read: async (key) => {
        reads += 1
        const entry = inner.read(key)
        await pass('read')
        return entry
      },
      write: async (head, body) => {
        await pass('write')
        await inner.write(head, body)
      },
      update: async (...change) => inner.update(...change),
      delete: async (keys) => {
        await pass('delete')
        return inner.delete(keys)
      },
      close: () => inner.close(),
      keys: () => inner.keys(),
      entries: (query) => inner.entries(query),
      size: () => inner.size(),
      clear: async () => {
        await pass('clear')
        inner.clear()
      },
      deleteWhere: (query) => inner.deleteWhere(query),
    }
    const hold = (method: string): Gate => {
      const one = gate()
      gates.set(method, one)
      return one
    }
    return { store, hold, reads: () => reads }
  }

  test.each(['before', 'while'])('who asks after clear() does not join a read that began %s it ran', async (when) => {
    const { store, hold, reads } = waiting()
    const { fetch, open } = held({ store, storeTimeout: 60 })
    open()
    expect(await (await fetch(PAGE)).text()).toBe('answer 1')
    await until(() => fetch.stats().stored === 1)
    const [reading, clearing] = [hold('read'), hold('clear')]
    const begun = reads()
    const clearsFirst = when === 'while' ? fetch.cache.clear() : null
    const early = fetch(PAGE).then((response) => response.text())
    await until(() => reads() > begun)
    const cleared = clearsFirst ?? fetch.cache.clear()
    clearing.open()
    await cleared
    const after = fetch(PAGE).then((response) => response.text())
    await settled()
    reading.open()
    expect([await early, await after]).toEqual(['answer 1', 'answer 2'])
  })

  test('what lands in the store after clear() is not seen before it is taken back', async () => {
    const { store, hold } = waiting()
    const { fetch, open, answer } = held({ store, storeTimeout: 60 })
    open()
    const [writing, deleting] = [hold('write'), hold('delete')]
    expect(await (await fetch(PAGE)).text()).toBe('answer 1')
    await settled()
    await fetch.cache.clear()
    writing.open()
    await until(async () => (await store.read(`GET ${PAGE}`)) !== undefined)
    const { status } = await fetch(PAGE, { headers: { 'cache-control': 'only-if-cached' } })
    expect([status, answer.count()]).toEqual([504, 1])
    deleting.open()
    await until(async () => (await store.read(`GET ${PAGE}`)) === undefined)
  })

  test('what was put by hand is taken back, too, and so is the answer to a POST', async () => {
    const { fetch, answer } = held()
    const body = gate()
    const stream = new ReadableStream({
      async pull(controller) {
        await body.opened
        controller.enqueue(Buffer.from('old'))
        controller.close()
      },
    })
    const put = fetch.cache.put(PAGE, new Response(stream, { headers: FRESH }))
    await settled()
    await fetch(PAGE, { method: 'PUT' })
    body.open()
    expect([await put, await fetch.cache.has(PAGE), answer.count()]).toEqual([false, false, 1])
    const posting = gate()
    const posted = answering(async ({ method }) => {
      if (method === 'PUT') return new Response(null, { status: 204 })
      await posting.opened
      return new Response('old', { headers: { ...FRESH, 'content-location': PAGE } })
    })
    const other = bench({ fetch: posted })
    const post = other.fetch(PAGE, { method: 'POST' }).then((response) => response.text())
    await until(() => posted.count() === 1)
    await other.fetch(PAGE, { method: 'PUT' })
    posting.open()
    expect([await post, await other.fetch.cache.has(PAGE)]).toEqual(['old', false])
  })

  test('what was put for one identity goes when the URL changes', async () => {
    const { fetch, open } = held()
    open()
    const init = { headers: { authorization: 'a' } }
    expect(await fetch.cache.put(PAGE, new Response('old', { headers: FRESH }), init)).toBe(true)
    expect((await fetch(PAGE, init)).fromCache).toBe(true)
    await fetch(PAGE, { method: 'PUT' })
    expect((await fetch(PAGE, init)).fromCache).toBe(false)
  })
})

test('D66, D67: six processes with 300 requests each on one file: no error, no mixed or wrong body', async () => {
  const path = newFile()
  const at = (file: string): string => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href)
  const script = `
    import { createCachedFetch } from ${at('index.ts')}
    import { SqliteStore } from ${at('stores/sqlite.ts')}
    import { verifyBody, wholeBody } from ${at('testing/origin/body.ts')}
    const me = Number(process.argv[1])
    let serial = 0
    const origin = async (url) => {
      const seed = me * 1000 + serial++
      const size = Number(new URL(url).searchParams.get('size'))
      return new Response(wholeBody(size, seed), { headers: { 'cache-control': 'max-age=600', 'x-seed': String(seed) } })
    }
    const store = new SqliteStore({ path: ${JSON.stringify(path)}, inlineSize: 2000, chunkSize: 4096, busyTimeout: 20000 })
    const fetch = createCachedFetch({ store, fetch: origin, storeTimeout: 20 })
    const problems = []
    fetch.on('error', ({ error }) => problems.push(error.message))
    for (let n = 0; n < 300; n++) {
      const size = n % 3 === 0 ? 30000 : 500
      const cache = n % 5 === me % 5 ? 'reload' : 'default'
      const response = await fetch('http://o.test/' + (n % 10) + '?size=' + size, { cache })
      const seed = Number(response.headers.get('x-seed'))
      try {
        const { valid } = await verifyBody(await response.bytes(), { size, seed })
        if (!valid) problems.push('body of ' + seed + ' is another')
      } catch (error) {
        // Replaced by another process in the middle of a long body: a failure, never other bytes (rule 4 of sqlite.ts).
        if (!/replaced or deleted by another process/.test(error.message)) problems.push(error.message)
      }
    }
    const real = problems.filter((message) => !/replaced or deleted by another process/.test(message))
    if (real.length > 0) { console.error(real); process.exit(1) }
    await fetch.close()
    store.close()`
  const codes = await Promise.all(
    [0, 1, 2, 3, 4, 5].map(async (n) => {
      const child = spawn(
        process.execPath,
        ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script, String(n)],
        {
          stdio: ['ignore', 'inherit', 'inherit'],
          env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'keepfresh-reliability-compiled') },
        },
      )
      return (await once(child, 'exit'))[0] as number
    }),
  )
  expect(codes).toEqual([0, 0, 0, 0, 0, 0])
  const store = new SqliteStore(path)
  for await (const key of store.keys()) {
    const entry = store.read(key)
    const seed = entry?.meta.kind === 'response' && entry.meta.headers.find(([name]) => name === 'x-seed')?.[1]
    const { body } = entry ?? {}
    if (body !== undefined)
      expect((await verifyBody(body.open(0, body.size), { size: body.size, seed: Number(seed) })).valid).toBe(true)
  }
  store.close()
})

/** Lets everything happen that is still to happen: what one event sets off may be scheduled a few turns after it. */
async function drained(scheduler: fc.Scheduler): Promise<void> {
  do {
    while (scheduler.count() > 0) await scheduler.waitOne()
    await settled()
  } while (scheduler.count() > 0)
}

const CACHE = { get: 'default', change: 'default', validate: 'no-cache', reload: 'reload' } as const

/** A store whose every answer comes when the scheduler says so. */
function scheduled(inner: Store, scheduler: fc.Scheduler): Store {
  const later = async <T>(label: string, call: () => MaybePromise<T>): Promise<T> => {
    await scheduler.schedule(Promise.resolve(), label)
    return call()
  }
  return {
    name: 'scheduled',
    limits: inner.limits,
    read: (key) => later<StoredEntry | undefined>('read', () => inner.read(key)),
    write: (head, body) => later('write', () => inner.write(head, body)),
    update: (key, change, version) => later('update', () => inner.update(key, change, version)),
    delete: (keys) => later('delete', () => inner.delete(keys)),
    close: () => inner.close(),
  }
}

test('D71: 304-updates, replacements and deletes of one key in any order leave what some order of them leaves', async () => {
  const step = fc.constantFrom('get', 'validate', 'reload', 'change', 'put', 'delete')
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { minLength: 2, maxLength: 7 }), async (scheduler, steps) => {
      let version = 1
      /** What the origin said so far, and how many invalidations had begun when it was asked. */
      const asked = new Map<string, number>()
      let serial = 0
      let begun = 0
      const answer = async (request: Request): Promise<Response> => {
        if (request.method === 'PUT') {
          version += 1
          await scheduler.schedule(Promise.resolve(), 'origin PUT')
          return new Response(null, { status: 204 })
        }
        const etag = `"${version}"`
        const body = `body ${version}`
        const id = String((serial += 1))
        asked.set(id, begun)
        const headers = { 'cache-control': 'max-age=600', etag, 'x-id': id, 'x-version': String(version) }
        const same = request.headers.get('if-none-match') === etag
        await scheduler.schedule(Promise.resolve(), `origin ${id}`)
        return same ? new Response(null, { status: 304, headers }) : new Response(body, { headers })
      }
      const inner = new MemoryStore()
      const options = { storeTimeout: 60, collapseTimeout: 60, clock: new FakeClock() }
      const fetch = createCachedFetch({ ...options, store: scheduled(inner, scheduler), fetch: answering(answer) })
      const url = 'http://o.test/x'
      const perform = async (kind: (typeof steps)[number]): Promise<void> => {
        await scheduler.schedule(Promise.resolve(), `begin ${kind}`)
        if (kind === 'put') {
          begun += 1
          await fetch(url, { method: 'PUT', body: 'x' })
        } else if (kind === 'delete') {
          begun += 1
          await fetch.cache.delete({ url })
        } else {
          if (kind === 'change') version += 1
          const response = await fetch(url, { cache: CACHE[kind] })
          // Every answer is one whole version: its body is the one its headers speak of.
          expect([response.status, await response.text()]).toEqual([200, `body ${response.headers.get('x-version')}`])
        }
      }
      const under = steps.map((kind) => perform(kind))
      await scheduler.waitFor(Promise.all(under))
      await drained(scheduler)
      const entry = inner.read(`GET ${url}`)
      if (entry === undefined) return
      if (entry.meta.kind !== 'response') throw new Error('there are no variants')
      const { headers } = entry.meta
      const value = (name: string): string => headers.find(([field]) => field === name)?.[1] ?? ''
      expect(new TextDecoder().decode(entry.body.bytes ?? new Uint8Array())).toBe(`body ${value('x-version')}`)
      expect(value('etag')).toBe(`"${value('x-version')}"`)
      // D65: nothing is left that the origin was asked for before the last invalidation began.
      expect(asked.get(value('x-id'))).toBe(begun)
    }),
    { numRuns: 400 },
  )
})

test('D65, D71: after a delete that came last, nothing asked for before it is stored, in any order of events', async () => {
  const step = fc.constantFrom('get', 'validate', 'reload')
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(step, { minLength: 1, maxLength: 4 }),
      fc.constantFrom('put', 'delete'),
      fc.nat(12),
      async (scheduler, steps, last, head) => {
        const answer = async (request: Request): Promise<Response> => {
          await scheduler.schedule(Promise.resolve(), `origin ${request.method}`)
          if (request.method === 'PUT') return new Response(null, { status: 204 })
          return new Response('body', { headers: { 'cache-control': 'max-age=600', etag: '"1"' } })
        }
        const inner = new MemoryStore()
        const options = { storeTimeout: 60, collapseTimeout: 60, clock: new FakeClock() }
        const asked = answering(answer)
        const fetch = createCachedFetch({ ...options, store: scheduled(inner, scheduler), fetch: asked })
        const url = 'http://o.test/x'
        const reads = steps.map(async (kind) => (await fetch(url, { cache: CACHE[kind] })).text())
        for (let n = 0; n < head && scheduler.count() > 0; n++) await scheduler.waitOne()
        const before = asked.count()
        const invalidating = last === 'put' ? fetch(url, { method: 'PUT', body: 'x' }) : fetch.cache.delete({ url })
        await scheduler.waitFor(Promise.all([...reads, invalidating]))
        await drained(scheduler)
        const later = asked.count() - before - (last === 'put' ? 1 : 0)
        if (later === 0) expect(inner.read(`GET ${url}`)).toBeUndefined()
      },
    ),
    { numRuns: 400 },
  )
})
