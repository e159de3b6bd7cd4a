import { describe, expect, it, test } from 'vitest'
import { isListable, isLocking, type ListableStore, type LockingStore, type StoredEntry } from '../engine/ports.ts'
import { OptionError } from '../errors.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { sampleHead, sampleMeta } from '../testing/samples.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { MemoryStore } from './memory.ts'
import { SqliteStore } from './sqlite.ts'
import type { Coherence, CoherenceListener } from './tiered-coherence.ts'
import { pollingCoherence } from './tiered-polling.ts'
import { tiered, TieredStore, type TieredOptions } from './tiered.ts'

storeConformance({
  name: 'tiered, memory over SQLite',
  make: () => new TieredStore({ far: new SqliteStore(':memory:') }),
  describe,
  test,
})
storeConformance({
  name: 'tiered, a small memory over memory, told by polling',
  make: () =>
    new TieredStore({
      far: new MemoryStore(),
      near: { maxEntries: 2 },
      coherence: pollingCoherence(new MemoryStore(), { interval: 0.01 }),
    }),
  describe,
  test,
})

const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const wordsOf = (entry: StoredEntry | undefined): string | undefined =>
  entry === undefined ? undefined : new TextDecoder().decode(entry.body.bytes ?? undefined)

/** A channel whose messages and state the test decides on. */
class ManualCoherence implements Coherence {
  listener: CoherenceListener | null = null
  readonly published: (readonly string[] | null)[] = []
  failure: Error | null = null
  subscribe(listener: CoherenceListener): void {
    this.listener = listener
  }
  async publish(keys: readonly string[] | null): Promise<void> {
    if (this.failure !== null) throw this.failure
    this.published.push(keys)
  }
  close(): void {}
}

interface Setup {
  readonly store: TieredStore
  readonly inner: MemoryStore
  readonly far: FaultyStore
  readonly near: MemoryStore
  readonly clock: FakeClock
}

function setup(options: Partial<TieredOptions> = {}): Setup {
  const inner = new MemoryStore()
  const far = new FaultyStore(inner)
  const near = new MemoryStore()
  const clock = new FakeClock(0)
  return { store: new TieredStore({ far, near, clock, ...options }), inner, far, near, clock }
}

describe('row 219: two tiers', () => {
  it('a hit in the far store is in memory afterwards, and a hit there waits for nothing', async () => {
    const { store, inner, far } = setup()
    inner.write(sampleHead('k'), text('body'))
    expect(wordsOf(await store.read('k'))).toBe('body')
    const again = store.read('k')
    expect(again instanceof Promise).toBe(false)
    expect(wordsOf(await again)).toBe('body')
    expect(store.read('k')).toBe(again)
    expect(far.calls.read).toBe(1)
  })

  it('what is written is in both; what is deleted is in neither', async () => {
    const { store, inner, far } = setup()
    await store.write(sampleHead('k'), text('body'))
    expect([wordsOf(inner.read('k')), wordsOf(await store.read('k')), far.calls.read]).toEqual(['body', 'body', 0])
    expect(await store.delete(['k', 'other'])).toBe(1)
    expect([inner.read('k'), await store.read('k')]).toEqual([undefined, undefined])
  })

  it('long bodies are left to the far store', async () => {
    const far = new SqliteStore(':memory:')
    const near = new MemoryStore()
    const store = new TieredStore({ far, near })
    await store.write(sampleHead('k'), new Blob([new Uint8Array(500_000)]).stream())
    expect((await store.read('k'))?.body.size).toBe(500_000)
    expect(near.size().entries).toBe(0)
    await store.close()
  })

  it('an entry that memory cannot hold is answered from the far store', async () => {
    const { store, far } = setup({ near: { maxBytes: 2000 } })
    await store.write(sampleHead('k'), new Uint8Array(5000))
    expect((await store.read('k'))?.body.size).toBe(5000)
    expect((await store.read('k'))?.body.size).toBe(5000)
    expect(far.calls.read).toBe(2)
  })

  it('what was just written is updated in both, under the version that the far store gave it', async () => {
    const { store, inner, far } = setup()
    await store.write(sampleHead('k'), text('body'))
    const entry = await store.read('k')
    const change = { meta: sampleMeta('k', { status: 203 }), expiresAt: 5, keepUntil: 6 }
    expect(await store.update('k', change, entry?.version ?? '')).toBe(true)
    expect(inner.read('k')).toMatchObject({ ...change, body: { bytes: text('body') } })
    const reads = far.calls.read
    expect(await store.read('k')).toMatchObject({ ...change, body: { bytes: text('body') } })
    expect(far.calls.read).toBe(reads)
    expect(await store.update('k', change, entry?.version ?? '')).toBe(false)
  })

  it('what another process has written meanwhile is not updated in its place', async () => {
    const { store, inner } = setup()
    await store.write(sampleHead('k'), text('ours'))
    const ours = await store.read('k')
    inner.write(sampleHead('k', { createdAt: 2000 }), text('theirs'))
    const change = { meta: sampleMeta('k', { status: 203 }), expiresAt: 5, keepUntil: 6 }
    expect(await store.update('k', change, ours?.version ?? '')).toBe(false)
    expect(wordsOf(await store.read('k'))).toBe('theirs')
  })
})

describe('B8: what other processes change', () => {
  it('without a channel memory answers for nearTtl, and not longer', async () => {
    const { store, inner, clock } = setup()
    await store.write(sampleHead('k'), text('old'))
    inner.delete(['k'])
    clock.advance(4999)
    expect(wordsOf(await store.read('k'))).toBe('old')
    clock.advance(1)
    expect(await store.read('k')).toBe(undefined)
    inner.write(sampleHead('k'), text('new'))
    expect(wordsOf(await store.read('k'))).toBe('new')
  })

  it('while the far store is down memory answers within that bound, and the failure is told after it', async () => {
    const { store, far, clock } = setup()
    await store.write(sampleHead('k'), text('body'))
    far.fail('read', 'reject')
    expect(wordsOf(await store.read('k'))).toBe('body')
    clock.advance(5000)
    await expect(async () => store.read('k')).rejects.toThrow('boom: read')
    far.heal()
    expect(wordsOf(await store.read('k'))).toBe('body')
  })

  it('with a channel a change is seen at once, and memory answers longer', async () => {
    const coherence = new ManualCoherence()
    const { store, inner, clock } = setup({ coherence })
    coherence.listener?.connected(true)
    for (const key of ['a', 'b']) await store.write(sampleHead(key), text('old'))
    expect(coherence.published).toEqual([['a'], ['b']])
    inner.delete(['a', 'b'])
    clock.advance(59_999)
    coherence.listener?.changed(['a'])
    expect([await store.read('a'), wordsOf(await store.read('b'))]).toEqual([undefined, 'old'])
    coherence.listener?.changed(null)
    expect(await store.read('b')).toBe(undefined)
  })

  it('a channel that is lost empties memory, and until it is back the bound is that of none', async () => {
    const coherence = new ManualCoherence()
    const { store, inner, clock } = setup({ coherence })
    coherence.listener?.connected(true)
    await store.write(sampleHead('k'), text('old'))
    inner.delete(['k'])
    coherence.listener?.connected(false)
    expect(await store.read('k')).toBe(undefined)
    await store.write(sampleHead('k'), text('new'))
    inner.delete(['k'])
    clock.advance(5000)
    expect(await store.read('k')).toBe(undefined)
  })

  it('a change that could not be told is an error that says so; the change itself is made', async () => {
    const coherence = new ManualCoherence()
    const { store, inner } = setup({ coherence })
    await store.write(sampleHead('k'), text('body'))
    coherence.failure = new Error('no connection')
    await expect(store.delete(['k'])).rejects.toMatchObject({ code: 'ERR_STORE_FAILED', cause: coherence.failure })
    expect([inner.read('k'), await store.read('k')]).toEqual([undefined, undefined])
  })

  it('a channel that cannot be closed leaves the far store no less closed', async () => {
    const coherence = Object.assign(new ManualCoherence(), { close: () => Promise.reject(new Error('gone')) })
    const { store, inner } = setup({ coherence })
    await expect(store.close()).rejects.toThrow('gone')
    expect(() => inner.read('k')).toThrow(/closed/)
  })

  it('all that lists change is told, too', async () => {
    const coherence = new ManualCoherence()
    const store = tiered({ far: new SqliteStore(':memory:'), coherence })
    await store.write(sampleHead('k'), text('body'))
    expect(await store.deleteWhere({ expiredAt: 61_000 })).toBe(1)
    expect(await store.read('k')).toBe(undefined)
    await store.write(sampleHead('k'), text('body'))
    await store.clear()
    expect(await store.read('k')).toBe(undefined)
    expect(coherence.published).toEqual([['k'], null, ['k'], null])
    await store.close()
  })
})

/** A far store whose reads and writes wait for the test. */
class SlowStore extends FaultyStore {
  readonly gates: (() => void)[] = []
  override async read(key: string): Promise<StoredEntry | undefined> {
    const entry = await super.read(key)
    await new Promise<void>((resolve) => this.gates.push(resolve))
    return entry
  }
}

describe('rule 3: what was asked for before a change is not kept after it', () => {
  const slow = (): Setup & { far: SlowStore } => {
    const inner = new MemoryStore()
    const far = new SlowStore(inner)
    const clock = new FakeClock(0)
    const near = new MemoryStore()
    return { store: new TieredStore({ far, near, clock }), inner, far, near, clock }
  }
  const opened = async (far: SlowStore): Promise<void> => {
    while (far.gates.length === 0) await new Promise((resolve) => setImmediate(resolve))
    far.gates.shift()?.()
  }

  it('a read overtaken by a delete or a write here', async () => {
    for (const change of [
      (store: TieredStore) => store.delete(['k']),
      (store: TieredStore) => store.write(sampleHead('k'), text('new')),
    ]) {
      const { store, inner, far, near } = slow()
      inner.write(sampleHead('k'), text('old'))
      const reading = store.read('k')
      await change(store)
      await opened(far)
      await reading
      expect(wordsOf(near.read('k'))).not.toBe('old')
    }
  })

  it('a read overtaken by a change that another process told of', async () => {
    const inner = new MemoryStore()
    const far = new SlowStore(inner)
    const near = new MemoryStore()
    const coherence = new ManualCoherence()
    const store = new TieredStore({ far, near, coherence })
    for (const keys of [['k'], null]) {
      inner.write(sampleHead('k'), text('old'))
      const reading = store.read('k')
      coherence.listener?.changed(keys)
      await opened(far)
      await reading
      expect(near.read('k')).toBe(undefined)
    }
  })

  it('of two writes at once memory keeps what the far store kept, or nothing', async () => {
    const { store, inner, near } = setup()
    await Promise.all(['a', 'b', 'c'].map((words) => store.write(sampleHead('k'), text(words))))
    const kept = wordsOf(near.read('k'))
    expect(kept === undefined || kept === wordsOf(inner.read('k'))).toBe(true)
  })

  it('of two writes at once that end in another order memory does not keep the earlier one', async () => {
    const inner = new MemoryStore()
    const far = new FaultyStore(inner)
    const gates: (() => void)[] = []
    far.write = async (head, body) => {
      await inner.write(head, body)
      await new Promise<void>((resolve) => gates.push(resolve))
    }
    const store = new TieredStore({ far })
    const writes = ['first', 'second'].map((words) => store.write(sampleHead('k'), text(words)))
    await expect.poll(() => gates.length).toBe(2)
    for (const gate of gates.toReversed()) {
      gate()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(writes)
    expect(wordsOf(await store.read('k'))).toBe('second')
  })

  it('a write that fails leaves nothing in memory: it may have been made', async () => {
    const { store, inner, far } = setup()
    await store.write(sampleHead('k'), text('old'))
    far.fail('write', 'reject', 2)
    await expect(store.write(sampleHead('k'), text('new'))).rejects.toThrow('boom: write')
    inner.write(sampleHead('k'), text('new'))
    expect(wordsOf(await store.read('k'))).toBe('new')
  })
})

describe('types and options', () => {
  it('it can what its far store can, and no more', async () => {
    const both: TieredStore & ListableStore & LockingStore = tiered({ far: new SqliteStore(':memory:') })
    const lists: TieredStore & ListableStore = tiered({ far: new MemoryStore() })
    const neither: TieredStore = tiered({ far: new FaultyStore(new MemoryStore()) })
    expect([both, lists, neither].map((store) => [isListable(store), isLocking(store)])).toEqual([
      [true, true],
      [true, false],
      [false, false],
    ])
    await both.close()
  })

  it('wrong options are refused', () => {
    const far = new MemoryStore()
    expect(() => new TieredStore({ far, nearTtl: 0 })).toThrow(/`nearTtl` must be more than 0/)
    expect(() => new TieredStore({ far, nearTtl: Number.NaN })).toThrow(OptionError)
    expect(() => new TieredStore(JSON.parse('{"far":{}}'))).toThrow(/`far` must be a store/)
    expect(() => new TieredStore(JSON.parse('{"farr":{}}'))).toThrow(/Did you mean `far`/)
    expect(() => new TieredStore({ far, near: JSON.parse('{"maxEntrys":1}') })).toThrow(/maxEntries/)
  })
})

describe('B8: many keys at once', () => {
  it('memory answers what it may, and the far store is asked for the rest in one step', async () => {
    const far = new SqliteStore(':memory:')
    const asked: (readonly string[])[] = []
    const readMany = far.readMany.bind(far)
    far.readMany = (keys) => {
      asked.push(keys)
      return readMany(keys)
    }
    const store = tiered({ far })
    for (const key of ['a', 'b', 'c']) far.write(sampleHead(key), text(key))
    await store.read('a')
    expect((await store.readMany(['a', 'b', 'x', 'c', 'b'])).map((entry) => wordsOf(entry as StoredEntry))).toEqual([
      'a',
      'b',
      undefined,
      'c',
      'b',
    ])
    await store.readMany(['a', 'b', 'c'])
    expect(asked).toEqual([['b', 'x', 'c']])
    await store.close()
  })

  it('rule 3: what was changed while they were read is not kept', async () => {
    const { store, inner, near } = setup()
    for (const key of ['a', 'b']) inner.write(sampleHead(key), text('old'))
    const reading = store.readMany(['a', 'b'])
    const writing = store.write(sampleHead('a'), text('new'))
    await Promise.all([reading, writing])
    expect(wordsOf(await store.read('a'))).toBe('new')
    expect(near.size().entries).toBeGreaterThan(0)
  })

  it('a far store that fails for some keys fails for those', async () => {
    const { store, inner, far } = setup()
    for (const key of ['a', 'b']) inner.write(sampleHead(key), text(key))
    far.fail('read', 'reject', 1)
    const [a, b] = await store.readMany(['a', 'b'])
    expect([a instanceof Error, wordsOf(b as StoredEntry)]).toEqual([true, 'b'])
    expect(wordsOf(await store.read('a'))).toBe('a')
  })
})
