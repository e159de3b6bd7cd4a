/** Checklist rows 182-190: bodies as streams (also test/engine/origin-faults.test.ts and src/stores/sqlite.test.ts). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCachedFetch, type CachedFetch } from '../../src/index.ts'
import { FaultyStore, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { bench, STORES, until } from '../engine/support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

const FRESH = { 'cache-control': 'max-age=60' }

async function textOf(fetch: CachedFetch, url: string): Promise<[text: string, fromCache: boolean]> {
  const response = await fetch(url)
  return [await response.text(), response.fromCache]
}

describe.each(STORES)('on %s', (name, make) => {
  test('row 182, 3.1.15: a miss is there with its head, and flows while the origin still sends', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first ')
      await held
      yield Buffer.from('second')
    }
    origin.route(`/held-${name}`, () => ({ headers: FRESH, body: body() }))
    const { fetch } = bench({ store: make() })
    const response = await fetch(`${origin.url}/held-${name}`)
    const reader = response.body?.getReader()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('first ')
    // Half a body is no entry.
    expect(await fetch.cache.has(`${origin.url}/held-${name}`)).toBe(false)
    release()
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('second')
    expect((await reader?.read())?.done).toBe(true)
    await until(() => fetch.cache.has(`${origin.url}/held-${name}`))
    expect(await textOf(fetch, `${origin.url}/held-${name}`)).toEqual(['first second', true])
    expect(origin.count()).toBe(1)
    await fetch.close()
  })

  test('rows 183, 184: a body that breaks off is no entry and leaves nothing behind; the next whole one is stored', async () => {
    const path = `/breaks-${name}`
    const long = 'x'.repeat(400_000)
    origin.script(path, [
      { headers: { ...FRESH, 'content-length': long.length + 1 }, body: long, cut: 'reset' },
      { headers: FRESH, body: long },
    ])
    const { fetch } = bench({ store: make() })
    await expect(fetch(origin.url + path).then((response) => response.text())).rejects.toThrow()
    expect((await fetch.cache.size()).entries).toBe(0)
    expect(await textOf(fetch, origin.url + path)).toEqual([long, false])
    await until(() => fetch.cache.has(origin.url + path))
    expect(await textOf(fetch, origin.url + path)).toEqual([long, true])
    expect([origin.count(), origin.errors]).toEqual([2, []])
    await fetch.close()
  })

  test('rows 183, 184: a large body that nobody reads on is left, and stored whole the next time', async () => {
    const url = `${origin.url}/large/3000000?max-age=60`
    const { fetch } = bench({ store: make() })
    const response = await fetch(url)
    await response.body?.cancel()
    await until(() => origin.inFlight === 0)
    expect((await fetch.cache.size()).entries).toBe(0)
    const again = await fetch(url)
    const whole = await again.bytes()
    await until(() => fetch.cache.has(url))
    const hit = await fetch(url)
    expect([hit.fromCache, Buffer.compare(await hit.bytes(), whole), whole.length]).toEqual([true, 0, 3_000_000])
    await fetch.close()
  })

  test('row 185: a hit can be streamed: by chunks, by lines, piped, and read to its end', async () => {
    origin.route(`/lines-${name}`, () => ({ headers: FRESH, body: 'one\ntwo\nthree' }))
    const { fetch } = bench({ store: make() })
    const url = `${origin.url}/lines-${name}`
    await textOf(fetch, url)
    const hit = await fetch(url)
    const chunks: Uint8Array[] = []
    for await (const chunk of hit.body ?? []) chunks.push(chunk)
    expect(Buffer.concat(chunks).toString().split('\n')).toEqual(['one', 'two', 'three'])
    expect([hit.fromCache, hit.bodyUsed]).toEqual([true, true])
    const byob = (await fetch(url)).body?.getReader({ mode: 'byob' })
    const sizes: number[] = []
    for (;;) {
      const { done, value } = (await byob?.read(new Uint8Array(4))) ?? { done: true, value: undefined }
      if (done) break
      sizes.push(value?.length ?? 0)
    }
    expect(sizes).toEqual([4, 4, 4, 1])
    expect((await byob?.read(new Uint8Array(4)))?.done).toBe(true)
    const decoded = (await fetch(url)).body?.pipeThrough(new TextDecoderStream())
    expect((await Array.fromAsync(decoded ?? [])).join('')).toBe('one\ntwo\nthree')
    expect(origin.count()).toBe(1)
    await fetch.close()
  })

  test('row 186: a stream that is not to be stored is read as usual', async () => {
    const { fetch } = bench({ store: make() })
    for (const httpCache of [{ expireAfter: 0 }, { filter: () => false }, { maxEntrySize: 10 }, { enabled: false }]) {
      const response = await fetch(`${origin.url}/large/500000?max-age=60`, { httpCache })
      let size = 0
      for await (const chunk of response.body ?? []) size += chunk.length
      expect(size).toBe(500_000)
    }
    await until(() => fetch.stats().refused + fetch.stats().bypassed >= 4)
    expect([(await fetch.cache.size()).entries, origin.count()]).toEqual([0, 4])
    await fetch.close()
  })

  test('row 188: a reader who stops stops the origin', async () => {
    let sent = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; sent < 512; sent++) yield new Uint8Array(256 * 1024)
    }
    origin.route(`/flood-${name}`, () => ({ headers: FRESH, body: endless() }))
    const { fetch } = bench({ store: make() })
    const response = await fetch(`${origin.url}/flood-${name}`)
    const reader = response.body?.getReader()
    await reader?.read()
    let before = -1
    await until(async () => {
      const still = before === sent
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 30))
      return still && before === sent
    })
    // 128 MiB in all; what is on the way is the read-ahead and the sockets' buffers.
    expect(sent).toBeLessThan(128)
    await reader?.cancel()
    await until(() => origin.inFlight === 0)
    expect((await fetch.cache.size()).entries).toBe(0)
    await fetch.close()
  })
})

test('row 188: a store that never takes the body does not keep the caller from it', async () => {
  const [, make] = STORES[1] ?? STORES[0] ?? ['', () => undefined]
  const inner = make()
  if (inner === undefined) throw new Error('no store')
  const store = new FaultyStore(inner).fail('write', 'never-drain')
  await using fetch = createCachedFetch({ store, storeTimeout: 0.05, readAhead: 65_536 })
  const response = await fetch(`${origin.url}/large/1000000?max-age=60`)
  expect((await response.bytes()).length).toBe(1_000_000)
  await inner.close()
})
