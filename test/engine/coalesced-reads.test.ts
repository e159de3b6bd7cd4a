import { afterAll, beforeAll, expect, it } from 'vitest'
import { MemoryStore, type Store, type StoredEntry } from '../../src/index.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { bench, until } from './support.ts'

let origin: LocalOrigin
beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())

/** Memory that takes a while to answer, as a server does; counts its reads. */
function distant(): Store & { reads: number } {
  const memory = new MemoryStore()
  const store = {
    name: 'distant',
    limits: memory.limits,
    reads: 0,
    async read(key: string): Promise<StoredEntry | undefined> {
      store.reads += 1
      const entry = memory.read(key)
      await new Promise((resolve) => setTimeout(resolve, 10))
      return entry
    },
    write: async (...args: Parameters<Store['write']>) => memory.write(...args),
    update: async (...args: Parameters<Store['update']>) => memory.update(...args),
    delete: async (keys: readonly string[]) => memory.delete(keys),
    close: () => memory.close(),
  }
  return store
}

it('a herd of hits on one key is one read of the store', async () => {
  const store = distant()
  const { fetch } = bench({ store })
  const url = `${origin.url}/cache/60`
  await (await fetch(url)).text()
  await until(() => fetch.stats().stored === 1)
  store.reads = 0
  const all = await Promise.all(Array.from({ length: 100 }, () => fetch(url)))
  expect(all.every(({ fromCache }) => fromCache)).toBe(true)
  expect(store.reads).toBe(1)
})

it('a read that began before a deletion answers nobody who asks after it', async () => {
  const { fetch } = bench({ store: distant() })
  const url = `${origin.url}/cache/60?deleted`
  await (await fetch(url)).text()
  await until(() => fetch.stats().stored === 1)
  const before = fetch(url)
  await fetch.cache.delete({ url })
  const after = fetch(url)
  expect([(await before).status, (await after).fromCache]).toEqual([200, false])
})

it('who has read a body to its end finds it, though the store takes its time', async () => {
  const store = distant()
  const slow: Store = {
    ...store,
    write: async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return store.write(...args)
    },
  }
  const { fetch } = bench({ store: slow })
  const url = `${origin.url}/etag/tagged`
  const first = await fetch(url, { httpCache: { expireAfter: 60 } })
  await first.text()
  const second = await fetch(url, {
    headers: { 'if-none-match': first.headers.get('etag') ?? '' },
    httpCache: { expireAfter: 60 },
  })
  expect([second.status, second.fromCache, origin.count('/etag/tagged')]).toEqual([304, true, 1])
})

it('what is still being written, and may not be used as it is, is validated', async () => {
  const store = distant()
  const slow: Store = {
    ...store,
    write: async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return store.write(...args)
    },
  }
  const asked: (string | null)[] = []
  const site = (async (_url: unknown, init?: RequestInit) => {
    asked.push(new Headers(init?.headers).get('if-none-match'))
    const headers = { 'cache-control': 'max-age=60, no-cache', etag: '"a"' }
    return asked.at(-1) === '"a"' ? new Response(null, { status: 304, headers }) : new Response('whole', { headers })
  }) as typeof globalThis.fetch
  const { fetch } = bench({ store: slow, fetch: site })
  await (await fetch('https://site.test/')).text()
  expect(await (await fetch('https://site.test/')).text()).toBe('whole')
  expect(asked).toEqual([null, '"a"'])
})

it('65: what is still being written when it is invalidated answers nobody who asks after that', async () => {
  const store = distant()
  const slow: Store = {
    ...store,
    write: async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return store.write(...args)
    },
  }
  let version = 1
  origin.route('/doc', () => ({ headers: { 'cache-control': 'max-age=60' }, body: `v${version}` }))
  const { fetch } = bench({ store: slow })
  expect(await (await fetch(`${origin.url}/doc`)).text()).toBe('v1')
  version = 2
  await fetch(`${origin.url}/doc`, { method: 'POST' })
  expect(await (await fetch(`${origin.url}/doc`)).text()).toBe('v2')
})

it('65: what came to be stored after its deletion is not seen before its writer takes it back', async () => {
  const store = distant()
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
  const [mayWrite, mayEnd] = gates
  const written = Promise.withResolvers<void>()
  const slow: Store = {
    ...store,
    write: async (...args) => {
      await mayWrite.promise
      await store.write(...args)
      written.resolve()
      await mayEnd.promise
    },
  }
  let version = 1
  origin.route('/doc', () => ({ headers: { 'cache-control': 'max-age=60' }, body: `v${version}` }))
  const { fetch } = bench({ store: slow })
  const read = async (): Promise<string> => (await fetch(`${origin.url}/doc`)).text()
  expect(await read()).toBe('v1')
  version = 2
  await fetch(`${origin.url}/doc`, { method: 'POST' })
  mayWrite.resolve()
  await written.promise
  expect(await read()).toBe('v2')
  mayEnd.resolve()
  await until(() => fetch.stats().stored === 1)
  expect(await read()).toBe('v2')
})
