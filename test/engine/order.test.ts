/** Of two answers under one key the one that was asked for later stays, whichever comes or is written first (RFC 9111 section 4; RELIABILITY 65). */
import { expect, test } from 'vitest'
import { bench, FarStore, until } from './support.ts'

const SHORT = new Uint8Array(10).fill(49)
const FIELDS = { 'cache-control': 'max-age=0, stale-while-revalidate=60' }
const URL_OF_IT = 'http://a.test/'

/** A body that ends when it is told to. */
function slowBody(bytes: number): { body: ReadableStream<Uint8Array>; end: () => void } {
  let end = (): void => undefined
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes))
      end = () => controller.close()
    },
  })
  return { body, end: () => end() }
}

test.each([
  ['a short body', 10],
  ['a body longer than the store takes whole', 300_000],
])('65: an older answer does not take the place of a newer one: %s that took its time', async (_, size) => {
  const older = slowBody(size)
  const answers = [() => new Response(older.body, { headers: FIELDS }), () => new Response(SHORT, { headers: FIELDS })]
  let asked = 0
  const { fetch, events } = bench({ fetch: async () => answers[asked++]?.() ?? Response.error() })
  const first = await fetch(URL_OF_IT)
  const second = await fetch(URL_OF_IT, { cache: 'no-cache' })
  expect((await second.bytes()).length).toBe(SHORT.length)
  await until(() => events.some(({ type }) => type === 'stored'))
  const whole = first.bytes()
  older.end()
  expect((await whole).length).toBe(size)
  await until(() => events.some((event) => event.type === 'refused' && event.reason === 'superseded'))
  const next = await fetch(URL_OF_IT)
  expect([next.fromCache, (await next.bytes()).length]).toEqual([true, SHORT.length])
  await fetch.close()
})

test('65: an older answer that the store was slow to write is taken back', async () => {
  const store = new FarStore()
  const first = (store.writesAfter = Promise.withResolvers<void>())
  let asked = 0
  const { fetch, clock, events } = bench({
    store,
    fetch: async () => new Response(`v${asked++}`, { headers: FIELDS }),
  })
  expect(await (await fetch(URL_OF_IT)).text()).toBe('v0')
  store.writesAfter = null
  clock.advance(10)
  expect(await (await fetch(URL_OF_IT, { cache: 'reload' })).text()).toBe('v1')
  await until(() => events.some(({ type }) => type === 'stored'))
  first.resolve()
  await until(() => events.some((event) => event.type === 'refused' && event.reason === 'superseded'))
  const next = await fetch(URL_OF_IT)
  expect(await next.text()).not.toBe('v0')
  await fetch.close()
})
