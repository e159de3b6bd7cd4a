/** The guard over a store that reads many keys at once: what one call may cost, and whom. */
import { describe, expect, it, vi } from 'vitest'
import { StoreError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { sampleHead } from '../testing/samples.ts'
import { Events, type CacheEventOf } from './events.ts'
import type { BatchReadingStore, MaybePromise, ReadOutcome, StoredEntry } from './ports.ts'
import { StoreGuard } from './store-guard.ts'

const corrupt = (key: string): StoreError => new StoreError('ERR_STORE_CORRUPT', `${key} is damaged`)

/** Memory that answers later and counts its calls; `answer` may spoil what a batch brings. */
class Batching extends MemoryStore implements BatchReadingStore {
  readonly batches: (readonly string[])[] = []
  readonly single: string[] = []
  answer: (outcomes: ReadOutcome[], keys: readonly string[]) => MaybePromise<readonly ReadOutcome[]> = (outcomes) =>
    outcomes

  override read(key: string): never {
    this.single.push(key)
    return Promise.resolve(super.read(key)) as never
  }

  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    this.batches.push(keys)
    await Promise.resolve()
    return this.answer(
      keys.map((key) => super.read(key)),
      keys,
    )
  }
}

interface Bench {
  readonly store: Batching
  readonly guard: StoreGuard
  readonly clock: FakeClock
  readonly errors: CacheEventOf<'error'>[]
}

function bench(readTimeout = 5000): Bench {
  const store = new Batching()
  const [clock, events] = [new FakeClock(1000), new Events()]
  const errors: CacheEventOf<'error'>[] = []
  events.on('error', (event) => errors.push(event))
  for (const key of ['a', 'b', 'c']) void store.write(sampleHead(key), new Uint8Array([key.charCodeAt(0)]))
  return { store, guard: new StoreGuard(store, events, clock, { readTimeout, writeTimeout: 5000 }), clock, errors }
}

const keysOf = (entries: readonly (StoredEntry | undefined)[]): unknown => entries.map((entry) => entry?.key ?? null)

describe('a batched read', () => {
  it('is one call for all keys, each named once, and answers in order', async () => {
    const { store, guard } = bench()
    expect(keysOf(await guard.readMany(['c', 'a', 'x', 'a']))).toEqual(['c', 'a', null, 'a'])
    expect([store.batches, store.single]).toEqual([[['c', 'a', 'x']], []])
  })

  it('of one key, or of none, is none', async () => {
    const { store, guard } = bench()
    expect([keysOf(await guard.readMany([])), keysOf(await guard.readMany(['a']))]).toEqual([[], ['a']])
    expect([store.batches, store.single]).toEqual([[], ['a']])
  })

  it('72: joins reads that are under way, and is joined', async () => {
    const { store, guard } = bench()
    const answers = [guard.read('a'), guard.readMany(['a', 'b', 'c']), guard.read('b'), guard.readMany(['b', 'c'])]
    expect(await Promise.all(answers)).toHaveLength(4)
    expect([store.batches, store.single]).toEqual([[['b', 'c']], ['a']])
    await guard.read('b')
    expect(store.single).toEqual(['a', 'b'])
  })

  it('after a change of a key does not join what began before it', async () => {
    const { store, guard } = bench()
    const before = guard.readMany(['a', 'b'])
    await guard.delete(['a'])
    expect(keysOf(await guard.readMany(['a', 'b']))).toEqual([null, 'b'])
    await before
    expect([store.batches, store.single]).toEqual([[['a', 'b']], ['a']])
  })

  it('B30: a corrupt entry costs itself only: it is told of and deleted', async () => {
    const { store, guard, errors } = bench()
    store.answer = (outcomes, keys) => outcomes.map((outcome, n) => (keys[n] === 'b' ? corrupt('b') : outcome))
    expect(keysOf(await guard.readMany(['a', 'b', 'c']))).toEqual(['a', null, 'c'])
    expect(errors.map(({ operation, key, error }) => [operation, key, error.code])).toEqual([
      ['read', 'b', 'ERR_STORE_CORRUPT'],
    ])
    store.answer = (outcomes) => outcomes
    expect(keysOf(await guard.readMany(['a', 'b', 'c']))).toEqual(['a', null, 'c'])
  })

  it('B30, B40: garbage, and the entry of another key, are corrupt', async () => {
    const { store, guard, errors } = bench()
    store.answer = ([a, b]) => [b, { ...a, meta: 7 } as unknown as StoredEntry]
    expect(keysOf(await guard.readMany(['a', 'b']))).toEqual([null, null])
    expect(errors.map(({ key, error }) => [key, error.code])).toEqual([
      ['a', 'ERR_STORE_CORRUPT'],
      ['b', 'ERR_STORE_CORRUPT'],
    ])
  })

  it.each([
    ['throws', () => Promise.reject(new Error('down'))],
    ['answers with too little', (outcomes: ReadOutcome[]) => outcomes.slice(1)],
    ['answers with no list', () => ({ length: 2 }) as never],
    ['never answers', () => new Promise<never>(() => undefined)],
  ])('B29: a store that %s costs misses and one event, and nothing is deleted', async (_, answer) => {
    const { store, guard, errors } = bench(10)
    store.answer = answer
    expect(keysOf(await guard.readMany(['a', 'b']))).toEqual([null, null])
    expect(errors.map(({ operation, key }) => [operation, key])).toEqual([['read', null]])
    expect(store.size().entries).toBe(3)
  })

  it('B37: a batch that fails counts once, and a store that failed too often is left alone', async () => {
    const { store, guard, clock, errors } = bench()
    store.answer = () => Promise.reject(new Error('down'))
    for (let n = 0; n < 7; n++) await guard.readMany(['a', 'b'])
    expect([store.batches.length, errors.length]).toEqual([5, 5])
    store.answer = (outcomes) => outcomes
    clock.advance(1001)
    expect(keysOf(await guard.readMany(['a', 'b']))).toEqual(['a', 'b'])
  })

  it('B37: keys that fail are one failure of the store, and none where others could be read', async () => {
    const { store, guard, errors } = bench()
    const down = new StoreError('ERR_STORE_FAILED', 'one of the servers is down')
    const keys = ['a', ...Array.from({ length: 7 }, (_, n) => `far ${n}`)]
    store.answer = (outcomes) => outcomes.map((outcome) => outcome ?? down)
    for (let n = 0; n < 7; n++) expect((await guard.readMany(keys))[0]?.key).toBe('a')
    expect([store.batches.length, errors.length]).toEqual([7, 49])
    for (let n = 0; n < 7; n++) await guard.readMany(keys.slice(1))
    expect(store.batches.length).toBe(12)
  })

  it('72: what is there at once stands beside what somebody is reading', async () => {
    const { store, guard } = bench()
    store.readMany = ((some: readonly string[]) =>
      some.map((key) => MemoryStore.prototype.read.call(store, key))) as never
    const reading = guard.read('a')
    expect(keysOf(await guard.readMany(['b', 'a', 'x', 'c']))).toEqual(['b', 'a', null, 'c'])
    expect((await reading)?.key).toBe('a')
  })

  it('B38: the limit grows with the batch, by a millisecond a key', async () => {
    vi.useFakeTimers()
    try {
      const { store, guard, errors } = bench(10)
      const keys = ['a', ...Array.from({ length: 1000 }, (_, n) => `missing ${n}`)]
      store.answer = (outcomes) => new Promise((resolve) => void setTimeout(resolve, 1000, outcomes))
      const found = guard.readMany(keys)
      await vi.advanceTimersByTimeAsync(1000)
      expect([(await found)[0]?.key, errors.length]).toEqual(['a', 0])
      store.answer = () => new Promise(() => undefined)
      const late = guard.readMany(keys)
      await vi.advanceTimersByTimeAsync(1010)
      expect([(await late)[0], errors.map(({ error }) => error.code)]).toEqual([undefined, ['ERR_STORE_TIMEOUT']])
    } finally {
      vi.useRealTimers()
    }
  })

  it('B35: what could not be deleted is not served', async () => {
    const { store, guard } = bench()
    const remove = store.delete.bind(store)
    store.delete = () => {
      throw new Error('down')
    }
    await guard.delete(['a'])
    store.delete = remove
    expect(keysOf(await guard.readMany(['a', 'b']))).toEqual([null, 'b'])
  })
})
