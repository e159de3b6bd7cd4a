/** RELIABILITY group C on SQLite: killed writers, damaged files, full disks. See also src/stores/sqlite.test.ts. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { createCachedFetch, StoreError, type CacheEvent } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock, verifyBody, wholeBody } from '../../src/testing/index.ts'
import { answering, bench, FRESH, newFile, THOROUGH, until, useOrigin } from './support.ts'

const origin = useOrigin()

function raw<T>(path: string, action: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path)
  try {
    return action(database)
  } finally {
    database.close()
  }
}

const errorsOf = (events: readonly CacheEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'error' ? [event.error.code] : []))

/** A process that fills a store through a cached fetch, for ever, with bodies that verify themselves. */
function writer(path: string, seed: number): ChildProcess {
  const at = (file: string): string => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href)
  const script = `
    import { once } from 'node:events'
    import { createCachedFetch } from ${at('index.ts')}
    import { SqliteStore } from ${at('stores/sqlite.ts')}
    import { wholeBody } from ${at('testing/origin/body.ts')}
    const store = new SqliteStore({ path: ${JSON.stringify(path)}, inlineSize: 2000, chunkSize: 4096, busyTimeout: 20000 })
    const origin = async (url) => {
      const [size, seed] = new URL(url).pathname.slice(1).split('/').map(Number)
      return new Response(wholeBody(size, seed), { headers: { 'cache-control': 'max-age=600' } })
    }
    const fetch = createCachedFetch({ store, fetch: origin })
    process.stdout.write('ready')
    await once(process.stdin, 'data')
    for (let n = ${seed}; ; n++) {
      for (const size of [500, 60_000]) {
        process.stdout.write('.')
        await (await fetch('http://o.test/' + size + '/' + (n % 7), { cache: 'reload' })).bytes()
        // The others get at the file, too.
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }`
  return spawn(process.execPath, ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Compiled once: many processes are started.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'keepfresh-reliability-compiled') },
  })
}

/** How many entries there are, each read whole and verified. */
async function verified(store: SqliteStore): Promise<number> {
  let count = 0
  for await (const key of store.keys()) {
    const body = store.read(key)?.body
    if (body === undefined) continue
    const verdict = await verifyBody(body.open(0, body.size))
    expect([key, verdict.valid, verdict.size]).toEqual([key, true, body.size])
    count += 1
  }
  return count
}

/** Rounds of eight writers each: all 200 where time is no matter. */
const ROUNDS = THOROUGH ? 25 : 3

test(`C47, C48: ${ROUNDS * 8} writers killed while they write: no torn body, no error, no damage to the file`, async () => {
  const path = newFile()
  for (let round = 0; round < ROUNDS; round++) {
    const writers = Array.from({ length: 8 }, (_, n) => writer(path, round * 8 + n))
    await Promise.all(writers.map(({ stdout }) => stdout && once(stdout, 'data')))
    const ends = writers.map((process) => once(process, 'exit'))
    writers.forEach((process, n) => {
      // The moment of each kill differs: in the first write of some, after a few of others.
      let left = (round * 3 + n) % 10
      process.stdout?.on('data', (dots: Uint8Array) => {
        if ((left -= dots.length) < 0) process.kill('SIGKILL')
      })
      process.stdin?.write('go')
    })
    await Promise.all(ends)
    const store = new SqliteStore({ path, busyTimeout: 20_000 })
    const count = await verified(store)
    if (round === 24) expect(count).toBe(14)
    expect(count).toBeGreaterThan(0)
    store.close()
    if (round % 8 === 0 || round === ROUNDS - 1)
      expect(raw(path, (database) => database.prepare('PRAGMA integrity_check').get())).toEqual({
        integrity_check: 'ok',
      })
  }
}, 120_000)

test('C49: what a power cut leaves of the log, cut at any place or with any page lost, holds whole entries or none', async () => {
  const path = newFile()
  const store = new SqliteStore({ path, inlineSize: 2000, chunkSize: 4096 })
  const { fetch } = bench({
    store,
    fetch: answering((request) => {
      const [size = 0, seed = 0] = new URL(request.url).pathname.slice(1).split('/').map(Number)
      return new Response(wholeBody(size, seed), { headers: FRESH })
    }),
  })
  for (let seed = 0; seed < 6; seed++)
    for (const size of [500, 20_000]) await (await fetch(`http://o.test/${size}/${seed}`, { cache: 'reload' })).bytes()
  await until(() => fetch.stats().stored === 12)
  const log = readFileSync(`${path}-wal`)
  const frame = 24 + 4096
  const frames = Math.floor((log.length - 32) / frame)
  expect(frames).toBeGreaterThan(20)
  let whole = 0
  const check = async (damaged: Buffer): Promise<void> => {
    const copy = newFile()
    copyFileSync(path, copy)
    writeFileSync(`${copy}-wal`, damaged)
    const after = new SqliteStore(copy)
    whole += await verified(after)
    after.close()
  }
  const step = THOROUGH ? 1 : 4
  for (let n = 0; n <= frames; n += step) await check(log.subarray(0, 32 + n * frame + (n % 3) * 1000))
  for (let n = 0; n < frames; n += step) {
    const lost = Buffer.from(log)
    lost.fill(0, 32 + n * frame, 32 + (n + 1) * frame)
    await check(lost)
  }
  expect(whole).toBeGreaterThan(0)
  await fetch.close()
  store.close()
})

class Limited extends DatabaseSync {
  constructor(path: string, options?: Record<string, unknown>) {
    super(path, options)
    this.exec(`PRAGMA max_page_count = ${Limited.pages}`)
  }
  static pages = 200
}

test('C50: a disk that fills up mid-body costs the entry and an event; the store recovers when there is space', async () => {
  const path = newFile()
  const full = bench({ store: new SqliteStore({ path, driver: Limited }), expireAfter: 600, autoClose: true })
  const url = `${origin().url}/large/2000000`
  const response = await full.fetch(url)
  expect((await verifyBody(await response.bytes())).valid).toBe(true)
  await until(() => errorsOf(full.events).length > 0)
  expect(errorsOf(full.events)).toEqual(['ERR_STORE_FULL'])
  expect(await full.fetch.cache.has(url)).toBe(false)
  const small = `${origin().url}/cache/60`
  await (await full.fetch(small)).text()
  expect((await full.fetch(small)).fromCache).toBe(true)
  await full.fetch.close()
  Limited.pages = 100_000
  const roomy = bench({ store: new SqliteStore({ path, driver: Limited }), expireAfter: 600, autoClose: true })
  await (await roomy.fetch(url)).bytes()
  await until(() => roomy.fetch.cache.has(url))
  const hit = await roomy.fetch(url)
  expect([hit.fromCache, (await verifyBody(await hit.bytes())).valid]).toEqual([true, true])
  await roomy.fetch.close()
})

describe('damage', () => {
  const SHORT = 'large/1000'
  const LONG = 'large/60000'
  const ofLong = `entry = (SELECT id FROM entries WHERE key LIKE '%${LONG}%')`
  const short = `key LIKE '%${SHORT}%'`

  test.each([
    ['C51: a flipped byte in a short body', `UPDATE entries SET body = x'00' || substr(body, 2) WHERE ${short}`, SHORT],
    ['C52: a short body cut', `UPDATE entries SET body = substr(body, 1, 100) WHERE ${short}`, SHORT],
    ['C52: a short body gone', `UPDATE entries SET body = NULL WHERE ${short}`, SHORT],
    ['C52: a short body full of zeros', `UPDATE entries SET body = zeroblob(1000) WHERE ${short}`, SHORT],
    ['C52: a short body longer', `UPDATE entries SET body = body || x'00' WHERE ${short}`, SHORT],
    ['C53: metadata that is no JSON', `UPDATE entries SET meta = x'7b7b7b' WHERE ${short}`, SHORT],
    ['C53: metadata gone', `UPDATE entries SET meta = x'' WHERE ${short}`, SHORT],
    [
      'C53: metadata with a flipped byte',
      `UPDATE entries SET meta = substr(meta, 1, 40) || x'41' || substr(meta, 42) WHERE ${short}`,
      SHORT,
    ],
    ['C53: metadata of the wrong type', `UPDATE entries SET meta = 'text' WHERE ${short}`, SHORT],
    ['C53: an expiry moved', `UPDATE entries SET expires = expires + 1000000 WHERE ${short}`, SHORT],
    ['C53: an expiry of the wrong type', `UPDATE entries SET expires = 'never' WHERE ${short}`, SHORT],
    ['C53: a size that is not the body\u2019s', `UPDATE entries SET size = 10 WHERE ${short}`, SHORT],
    ['B40: the row of another key', `UPDATE entries SET key = key || '?moved' WHERE ${short}`, `${SHORT}?moved`],
  ])('%s: noticed before the first byte, fetched anew, an event', async (_title, sql, path) => {
    const file = newFile()
    const options = { inlineSize: 5000, chunkSize: 8192, path: file }
    const { fetch, events, clock } = bench({ store: new SqliteStore(options), expireAfter: 600, autoClose: true })
    for (const one of [SHORT, LONG]) await (await fetch(`${origin().url}/${one}`)).bytes()
    await until(() => fetch.stats().stored === 2)
    await fetch.close()
    raw(file, (database) => database.exec(sql))
    const after = bench({ store: new SqliteStore(options), expireAfter: 600, autoClose: true, clock })
    const response = await after.fetch(`${origin().url}/${path}`)
    expect([response.status, response.fromCache]).toEqual([200, false])
    expect((await verifyBody(await response.bytes())).valid).toBe(true)
    expect([...errorsOf(events), ...errorsOf(after.events)]).toEqual(['ERR_STORE_CORRUPT'])
    await until(() => after.fetch.stats().stored === 1)
    const again = await after.fetch(`${origin().url}/${path}`)
    expect([again.fromCache, (await verifyBody(await again.bytes())).valid]).toEqual([true, true])
    await after.fetch.close()
  })

  test.each([
    ['C51: a flipped byte', 5, `UPDATE chunks SET data = x'00' || substr(data, 2) WHERE n = 5 AND ${ofLong}`],
    [
      'C51: two chunks swapped',
      5,
      `UPDATE chunks SET data = (SELECT data FROM chunks WHERE n = 3 AND ${ofLong}) WHERE n = 5 AND ${ofLong}`,
    ],
    ['C52: a chunk gone', 5, `DELETE FROM chunks WHERE n = 5 AND ${ofLong}`],
    ['C52: a chunk cut', 5, `UPDATE chunks SET data = substr(data, 1, 10) WHERE n = 5 AND ${ofLong}`],
  ])(
    '%s of a long body (chunk %i): no wrong byte, the stream fails, the entry goes, the next request is right',
    async (_title, chunk, sql) => {
      const file = newFile()
      const store = new SqliteStore({ inlineSize: 5000, chunkSize: 8192, path: file })
      const { fetch, events } = bench({ store, expireAfter: 600, autoClose: true })
      const url = `${origin().url}/${LONG}`
      await (await fetch(url)).bytes()
      await until(() => fetch.stats().stored === 1)
      raw(file, (database) => database.exec(sql))
      const got: Uint8Array[] = []
      const { body } = await fetch(url)
      await expect(async () => {
        if (body !== null) for await (const piece of body) got.push(piece)
      }).rejects.toThrow(StoreError)
      const bytes = Buffer.concat(got)
      expect([bytes.length, bytes.equals(wholeBody(60_000).subarray(0, bytes.length))]).toEqual([chunk * 8192, true])
      expect(errorsOf(events)).toContain('ERR_STORE_CORRUPT')
      const after = await fetch(url)
      expect([after.fromCache, (await verifyBody(await after.bytes())).valid]).toEqual([false, true])
      await fetch.close()
    },
  )

  test.each([
    ['C51: a flipped byte in it', `UPDATE chunks SET data = x'00' || substr(data, 2) WHERE n = 0 AND ${ofLong}`],
    ['C52: it is gone', `DELETE FROM chunks WHERE n = 0 AND ${ofLong}`],
    ['C52: all of them are gone', `DELETE FROM chunks WHERE ${ofLong}`],
  ])(
    'B41: the first chunk of a long body, %s: a miss before any byte is sent, for a plain GET, a validated and a stale one',
    async (_title, sql) => {
      for (const [age, down] of [
        [0, false],
        [601, false],
        [601, true],
      ] as const) {
        const file = newFile()
        const options = { store: new SqliteStore({ inlineSize: 5000, chunkSize: 8192, path: file }) }
        let healthy = true
        const answer = answering((request) => {
          const headers = { etag: '"a"', 'cache-control': 'max-age=600' }
          if (!healthy) return new Response('down', { status: 500 })
          if (request.headers.has('if-none-match')) return new Response(null, { status: 304, headers })
          return new Response(wholeBody(60_000), { headers })
        })
        const made = bench({ ...options, fetch: answer, autoClose: true, staleIfError: true })
        const { fetch, events, clock } = made
        const url = `http://o.test/${LONG}`
        await (await fetch(url)).bytes()
        await until(() => fetch.stats().stored === 1)
        raw(file, (database) => database.exec(sql))
        clock.advance(age * 1000)
        healthy = !down
        const response = await fetch(url)
        expect([response.fromCache, response.status]).toEqual([false, down ? 500 : 200])
        if (down) expect(await response.text()).toBe('down')
        else expect((await verifyBody(await response.bytes())).valid).toBe(true)
        expect(errorsOf(events)).toContain('ERR_STORE_CORRUPT')
        await fetch.close()
      }
    },
  )

  test('C54: every entry corrupt: every request is answered by the origin, in one request each', async () => {
    const file = newFile()
    const store = new SqliteStore({ inlineSize: 5000, chunkSize: 8192, path: file })
    const { fetch } = bench({ store, expireAfter: 600, autoClose: true })
    const urls = Array.from({ length: 40 }, (_, n) => `${origin().url}/large/1000?seed=${n}`)
    const all = (): Promise<boolean[]> =>
      Promise.all(urls.map(async (url) => (await verifyBody(await (await fetch(url)).bytes())).valid))
    await all()
    await until(() => fetch.stats().stored === 40)
    store.flush()
    raw(file, (database) => database.exec(`UPDATE entries SET body = zeroblob(1000)`))
    origin().reset()
    expect(new Set(await all())).toEqual(new Set([true]))
    expect(origin().requests).toHaveLength(40)
    await fetch.close()
  })

  test('C53: random bytes written over the file never come back as a body, and never reach the caller as an error', async () => {
    let state = 12_345
    const random = (below: number): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) % below
    for (let run = 0; run < (THOROUGH ? 20 : 5); run++) {
      const file = newFile()
      const made = bench({
        store: new SqliteStore({ path: file, wal: false, chunkSize: 4096 }),
        expireAfter: 600,
        autoClose: true,
      })
      const urls = Array.from(
        { length: 10 },
        (_, n) => `${origin().url}/large/${n % 2 === 0 ? 1000 : 100_000}?seed=${n}`,
      )
      for (const url of urls) await (await made.fetch(url)).bytes()
      await until(() => made.fetch.stats().stored === 10)
      await made.fetch.close()
      const bytes = readFileSync(file)
      for (let hit = 0; hit < 30; hit++) bytes[100 + random(bytes.length - 100)] = random(256)
      writeFileSync(file, bytes)
      const { fetch } = bench({
        store: new SqliteStore({ path: file, wal: false }),
        expireAfter: 600,
        clock: made.clock,
        autoClose: true,
      })
      for (const url of urls) {
        const response = await fetch(url)
        const result = await response.bytes().catch((error: unknown) => error)
        if (result instanceof Uint8Array) expect((await verifyBody(result)).valid).toBe(true)
        else expect([response.fromCache, result instanceof StoreError]).toEqual([true, true])
      }
      await fetch.close()
    }
  })
})

test('C55: a store of format 1, as the first release wrote it, is read', async () => {
  const file = newFile()
  copyFileSync(fileURLToPath(new URL('fixtures/sqlite-format-1.db', import.meta.url)), file)
  const clock = new FakeClock(Date.UTC(2026, 0, 1, 0, 0, 30))
  const never = answering(() => Response.error())
  const fetch = createCachedFetch({ store: new SqliteStore(file), clock, fetch: never, autoClose: true })
  const short = await fetch('http://fixture.test/short')
  expect([short.fromCache, short.headers.get('x-kept'), await short.text()]).toEqual([true, 'yes', 'a short body'])
  const long = await fetch('http://fixture.test/long')
  expect([long.fromCache, (await verifyBody(await long.bytes())).valid]).toEqual([true, true])
  for (const language of ['de', 'en']) {
    const variant = await fetch('http://fixture.test/varies', { headers: { 'accept-language': language } })
    expect([variant.fromCache, await variant.text()]).toEqual([true, language])
  }
  expect(never.count()).toBe(0)
  await fetch.close()
})

test('C58: clearing out expired entries while others are read and written loses no valid one', async () => {
  const path = newFile()
  const clock = new FakeClock()
  const { fetch } = bench({
    store: new SqliteStore(path),
    clock,
    autoClose: true,
    fetch: answering(
      ({ url }) => new Response(url, { headers: { 'cache-control': `max-age=${url.includes('brief') ? 1 : 600}` } }),
    ),
  })
  const kept: string[] = []
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 20; n++) await (await fetch(`http://o.test/brief/${round}/${n}`)).text()
    clock.advance(2000)
    const cleaning = fetch.cache.deleteExpired()
    for (let n = 0; n < 20; n++) {
      const url = `http://o.test/long/${round}/${n}`
      await (await fetch(url)).text()
      kept.push(url)
    }
    expect(await cleaning).toBe(20)
  }
  for (const url of kept) expect((await fetch(url)).fromCache).toBe(true)
  expect((await fetch.cache.size()).entries).toBe(400)
  expect(existsSync(path)).toBe(true)
  await fetch.close()
})
