/** Checklist section 1.9: many requests at once; more of it in test/engine/concurrency.test.ts. */
import { expect, test } from 'vitest'
import { MemoryStore } from '../../src/index.ts'
import { got, text, until, useBench } from './support.ts'

const at = useBench()

function many<T>(count: number, make: (n: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => make(n)))
}

test('row 148: 100 at once for one URL: one request, one write, 100 equal answers', async () => {
  at.answer('/row148', { delay: 30, body: 'same' })
  await using s = at.session()
  const bodies = await many(100, () => text(s.get('/row148')))
  expect([new Set(bodies), at.origin.count('/row148'), (await s.stats()).stored]).toEqual([new Set(['same']), 1, 1])
})

test('row 149: who waited for what may not be shared goes to the origin side by side, not in a queue', async () => {
  let inside = 0
  let most = 0
  at.origin.route('/row149', async ({ request, wait }) => {
    most = Math.max(most, ++inside)
    // The first is alone until the followers have come; they are in here together, or this never ends in time.
    await wait(20)
    const together = (): boolean => most >= 19
    if (request.serial > 1) for (let tries = 0; !together() && tries < 1000; tries++) await wait(5)
    inside -= 1
    return { status: 404, body: String(request.serial) }
  })
  await using s = at.session()
  const bodies = await many(20, () => text(s.get('/row149')))
  expect([new Set(bodies).size, most]).toEqual([20, 19])
})

test('row 150: who waits may leave, who leads may leave, and the rest get their answer', async () => {
  const gate = Promise.withResolvers<void>()
  at.origin.route('/row150', () => gate.promise.then(() => ({ body: 'x' })))
  await using s = at.session()
  const aborts = [new AbortController(), new AbortController()]
  const calls = [
    ...aborts.map(({ signal }) => s.get('/row150', { signal })),
    s.get('/row150'),
    s.get('/row150', { timeout: 30 }),
  ]
  const results = Promise.allSettled(calls)
  await until(() => at.origin.count('/row150') === 1)
  for (const abort of aborts) abort.abort(new Error('left'))
  await Promise.allSettled(calls.slice(0, 2))
  gate.resolve()
  expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled', 'fulfilled'])
  expect(at.origin.count('/row150')).toBe(1)
})

test('row 151: hits on one key wait for no lock and for no refresh: they share one read', async () => {
  let reading = 0
  let most = 0
  const inner = new MemoryStore()
  const slow = new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name !== 'read') return value.bind(target) as unknown
      return async (key: string) => {
        most = Math.max(most, ++reading)
        // All have come by then.
        for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve))
        reading -= 1
        return target.read(key)
      }
    },
  })
  const gate = Promise.withResolvers<void>()
  const confirms = (): Promise<{ status: number }> => gate.promise.then(() => ({ status: 304 }))
  at.origin.script('/row151', [{ headers: { etag: '"1"' }, body: 'x' }, confirms])
  await using s = at.session({ store: slow })
  await text(s.get('/row151'))
  const refresh = s.get('/row151', { httpCache: { refresh: true } })
  await until(() => at.origin.count('/row151') === 2)
  const hits = await many(50, () => got(s.get('/row151')))
  expect([hits.every(([, fromCache]) => fromCache), most, at.origin.inFlight]).toEqual([true, 1, 1])
  gate.resolve()
  expect((await refresh).revalidated).toBe(true)
})

test('row 153: a leader that fails: one of the others tries again, and the key is free after that', async () => {
  at.origin.script('/row153', [
    { delay: 20, empty: true },
    { delay: 20, body: 'two' },
  ])
  await using s = at.session()
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => text(s.get('/row153'))))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
  expect([await text(s.get('/row153')), at.origin.count('/row153')]).toEqual(['two', 2])
  at.origin.script('/row153-all', [{ empty: true }, { empty: true }, { body: 'at last' }])
  const failed = await Promise.allSettled(Array.from({ length: 5 }, () => s.get('/row153-all')))
  expect(failed.every(({ status }) => status === 'rejected')).toBe(true)
  expect(await text(s.get('/row153-all'))).toBe('at last')
})

test('row 155: while one refreshes a value that may be served stale, the others get the old one at once', async () => {
  const held = Promise.withResolvers<void>()
  const late = async (): Promise<{ body: string }> => {
    await held.promise
    return { body: 'new' }
  }
  at.origin.script('/row155', [{ body: 'old' }, late])
  await using s = at.session({ expireAfter: 10, staleWhileRevalidate: true })
  await text(s.get('/row155'))
  at.seconds(20)
  expect(new Set(await many(20, () => text(s.get('/row155'))))).toEqual(new Set(['old']))
  held.resolve()
  await until(async () => (await text(s.get('/row155'))) === 'new')
  expect(at.origin.count('/row155')).toBe(2)
})

test('row 152, row 156: 500 at once: all misses, then all hits', async () => {
  await using s = at.session()
  const first = await many(500, (n) => got(s.get('/get', { params: { n } })))
  const second = await many(500, (n) => got(s.get('/get', { params: { n } })))
  expect([first.some(([, hit]) => hit), second.every(([, hit]) => hit), at.origin.requests.length]).toEqual([
    false,
    true,
    500,
  ])
})

test('row 157: a filter that asks through the same session, even for the same URL, never waits for itself', async () => {
  let asking = 0
  await using s = at.session({
    collapseTimeout: 0.05,
    filter: async ({ url }) => {
      if (asking++ > 3) return true
      await text(s.get(url.endsWith('/json') ? '/get' : '/json'))
      return true
    },
  })
  expect((await got(s.get('/get')))[0]).toBe(200)
  await until(() => s.cache.has('/get'))
  expect((await got(s.get('/get')))[1]).toBe(true)
})
