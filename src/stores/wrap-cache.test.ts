/** Wrapped stores under a cache: what cannot be read is a miss and an event, and is replaced. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCachedFetch } from '../clients/fetch.ts'
import type { CacheEvent } from '../engine/events.ts'
import type { Store } from '../engine/ports.ts'
import { startOrigin, type LocalOrigin } from '../testing/origin.ts'
import { MemoryStore } from './memory.ts'
import { compressed } from './wrap-compress.ts'
import { encrypted } from './wrap-encrypt.ts'
import { signed } from './wrap-sign.ts'

let origin: LocalOrigin
beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())

const [first, second] = [randomBytes(32), randomBytes(32)]
const WRAPPERS: readonly (readonly [string, (store: Store, key: Uint8Array) => Store])[] = [
  ['encrypted', (store, key) => encrypted(store, { keys: [key] })],
  ['signed', (store, secret) => signed(store, { secrets: [secret] })],
]

/** A store that outlives the caches over it. */
function lasting(): MemoryStore {
  const store = new MemoryStore()
  store.close = () => undefined
  return store
}

/** One request with a cache of its own over the store: what the cache did, and the errors it met. */
async function ask(store: Store, path = '/cache/60'): Promise<{ events: string[]; errors: string[]; text: string }> {
  await using cached = createCachedFetch({ store, expireAfter: 60 })
  const events: string[] = []
  const errors: string[] = []
  cached.on('*', (event: CacheEvent) => {
    if (event.type === 'error') errors.push(event.error.code)
    else events.push(event.type)
  })
  const text = await (await cached(`${origin.url}${path}`)).text()
  await expect.poll(() => events.includes('hit') || events.includes('stored')).toBe(true)
  return { events, errors, text }
}

for (const [name, wrap] of WRAPPERS) {
  describe(`a cache over a store that is ${name}`, () => {
    it('row 224: with another key an entry is a miss and an event, once; then it is replaced', async () => {
      const inner = lasting()
      expect(await ask(wrap(inner, first))).toMatchObject({ events: ['miss', 'stored'], errors: [] })
      expect(await ask(wrap(inner, first))).toMatchObject({ events: ['hit'], errors: [] })
      expect(await ask(wrap(inner, second))).toMatchObject({
        events: ['miss', 'stored'],
        errors: ['ERR_STORE_CORRUPT'],
      })
      expect(await ask(wrap(inner, second))).toMatchObject({ events: ['hit'], errors: [] })
    })

    it('without the wrapper its entries do not exist', async () => {
      const inner = lasting()
      const { text } = await ask(wrap(inner, first))
      const plain = await ask(inner)
      expect([plain.text, plain.events]).toEqual([text, ['miss', 'stored']])
    })
  })
}

describe('a cache over a compressed store', () => {
  it('row 227: a response is compressed where it is stored, and answered as it was', async () => {
    const body = 'all work and no play '.repeat(500)
    origin.route('/prose', () => ({ body, headers: { 'Cache-Control': 'max-age=60' } }))
    const inner = lasting()
    const store = compressed(inner)
    await ask(store, '/prose')
    expect(await ask(store, '/prose')).toMatchObject({ events: ['hit'], text: body })
    const [stored] = await Array.fromAsync(inner.entries())
    expect(stored?.size).toBeLessThan(500)
  })
})
