import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { MemoryStore } from '../stores/memory.ts'
import { SqliteStore } from '../stores/sqlite.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { callSignal, memoizeIterable, type MemoEvent } from './index.ts'

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

/** A source that yields when it is told to, and counts how far it was read. */
class Tap {
  runs = 0
  pulled = 0
  returned = 0
  readonly #gates: PromiseWithResolvers<void>[] = []

  readonly yields = (count: number) => {
    this.runs += 1
    return this.#generate(count)
  }

  async *#generate(count: number): AsyncGenerator<string> {
    let ended = false
    try {
      for (let i = 0; i < count; i++) {
        this.pulled += 1
        yield `item ${i}`
      }
      ended = true
    } finally {
      if (!ended) this.returned += 1
    }
  }

  /** A source whose items wait for `open`. */
  readonly gated = async function* (this: Tap, name: string): AsyncGenerator<string> {
    this.runs += 1
    for (let i = 0; i < 3; i++) {
      const gate = Promise.withResolvers<void>()
      this.#gates.push(gate)
      await gate.promise
      yield `${name} ${i}`
    }
  }.bind(this)

  async open(): Promise<void> {
    while (this.#gates.length === 0) await setImmediate()
    this.#gates.shift()?.resolve()
  }

  async fail(error: unknown): Promise<void> {
    while (this.#gates.length === 0) await setImmediate()
    this.#gates.shift()?.reject(error)
  }
}

const PLACES = [
  ['in memory', () => ({})],
  ['in a store', () => ({ name: 'replays', store: new MemoryStore() })],
] as const

describe.each(PLACES)('row 273: memoizeIterable, %s', (_, place) => {
  test('what was yielded is replayed; the function is called once for each list of arguments', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.yields, place())
    expect(await all(replayed(3))).toEqual(['item 0', 'item 1', 'item 2'])
    expect(await all(replayed(3))).toEqual(['item 0', 'item 1', 'item 2'])
    expect(await all(replayed(0))).toEqual([])
    expect(await all(replayed(0))).toEqual([])
    expect(tap.runs).toBe(2)
    expect(replayed.stats()).toMatchObject({ hits: 2, misses: 2, stored: 2 })
    expect(await replayed.invalidate(3)).toBe(true)
    await all(replayed(3))
    await all(replayed.refresh(3))
    expect(tap.runs).toBe(4)
  })

  test('items come as they are yielded, to all who read; who comes later gets those that have come', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.gated, place())
    const early = replayed('a')
    const first = early.next()
    await tap.open()
    expect(await first).toEqual({ done: false, value: 'a 0' })
    const late = all(replayed('a'))
    await tap.open()
    await tap.open()
    expect(await all(early)).toEqual(['a 1', 'a 2'])
    expect(await late).toEqual(['a 0', 'a 1', 'a 2'])
    expect(tap.runs).toBe(1)
    expect(replayed.stats().collapsed).toBe(1)
  })

  test('the source is read no further than the foremost reader asks', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.yields, place())
    const reader = replayed(100)
    for (let i = 0; i < 3; i++) await reader.next()
    await setImmediate()
    expect(tap.pulled).toBeLessThanOrEqual(4)
    await reader.return()
  })

  test('what nobody read to its end is never replayed as whole, and the source is told to return', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.yields, place())
    for await (const item of replayed(5)) if (item === 'item 1') break
    await setImmediate()
    expect(tap.returned).toBe(1)
    expect(await replayed.cache.get([5])).toBe(undefined)
    expect(await all(replayed(5))).toHaveLength(5)
    expect(tap.runs).toBe(2)
  })

  test('one reader that leaves does not end the others', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.gated, place())
    const leaves = replayed('a')
    const stays = all(replayed('a'))
    const first = leaves.next()
    await tap.open()
    await first
    await leaves.return()
    await tap.open()
    await tap.open()
    expect(await stays).toEqual(['a 0', 'a 1', 'a 2'])
    expect(await all(replayed('a'))).toHaveLength(3)
    expect(tap.runs).toBe(1)
  })

  test('nor one that leaves before the first item', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.gated, place())
    const controller = new AbortController()
    const leaves = replayed.with({ signal: controller.signal })('a').next()
    const stays = all(replayed('a'))
    await vi.waitFor(() => expect(replayed.stats().collapsed).toBe(1))
    controller.abort(new Error('left'))
    await expect(leaves).rejects.toThrow('left')
    for (let i = 0; i < 3; i++) await tap.open()
    expect(await stays).toEqual(['a 0', 'a 1', 'a 2'])
  })

  test('a signal ends one reader, wherever it waits; the function’s is aborted when the last has left', async () => {
    let signal: AbortSignal | undefined
    const tap = new Tap()
    const replayed = memoizeIterable((name: string) => {
      signal = callSignal()
      return tap.gated(name)
    }, place())
    const [one, two] = [new AbortController(), new AbortController()]
    const first = replayed.with({ signal: one.signal })('a')
    const second = replayed.with({ signal: two.signal })('a')
    const begun = [first.next(), second.next()]
    await tap.open()
    await Promise.all(begun)
    const waiting = first.next()
    one.abort(new Error('one'))
    await expect(waiting).rejects.toThrow('one')
    expect(signal?.aborted).toBe(false)
    const other = second.next()
    two.abort(new Error('two'))
    await expect(other).rejects.toThrow('two')
    expect(signal?.aborted).toBe(true)
    expect(await replayed.cache.get(['a'])).toBe(undefined)
    await expect(replayed.with({ signal: one.signal })('b').next()).rejects.toThrow('one')
  })

  test('a failure comes after the items before it, to everybody, and is not kept', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.gated, place())
    const readers = [replayed('a'), replayed('a')]
    const firsts = readers.map((reader) => reader.next())
    await tap.open()
    expect(await Promise.all(firsts)).toEqual([
      { done: false, value: 'a 0' },
      { done: false, value: 'a 0' },
    ])
    const rests = readers.map((reader) => all(reader))
    await tap.fail(new Error('broke off'))
    for (const rest of rests) await expect(rest).rejects.toThrow('broke off')
    expect(tap.runs).toBe(1)
    const again = all(replayed('a'))
    for (let i = 0; i < 3; i++) await tap.open()
    expect(await again).toHaveLength(3)
  })

  test('D62: where it fails before its first item, one of those who waited begins anew', async () => {
    let runs = 0
    const replayed = memoizeIterable(async function* () {
      runs += 1
      await setImmediate()
      if (runs === 1) throw new Error('cold')
      yield 'warm'
    }, place())
    const answers = await Promise.allSettled([all(replayed()), all(replayed()), all(replayed())])
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(runs).toBe(2)
  })

  test('more than maxItems is handed through and not kept; nobody joins it any more', async () => {
    const tap = new Tap()
    const events: MemoEvent[] = []
    const replayed = memoizeIterable(tap.yields, { ...place(), maxItems: 10 })
    replayed.cache.on('*', (event) => events.push(event))
    const reader = replayed(1000)
    const items: string[] = []
    for (let i = 0; i < 500; i++) items.push((await reader.next()).value ?? '')
    const other = all(replayed(1000))
    for await (const item of reader) items.push(item)
    expect(items).toHaveLength(1000)
    expect(new Set(items).size).toBe(1000)
    expect(await other).toEqual(items)
    expect(tap.runs).toBe(2)
    expect(events.filter(({ type }) => type === 'refused')).toMatchObject([
      { reason: 'too-large' },
      { reason: 'too-large' },
    ])
    expect(replayed.stats()).toMatchObject({ stored: 0, failures: 0 })
    const leaves = replayed(1000)
    for (let i = 0; i < 20; i++) await leaves.next()
    await leaves.return()
    await setImmediate()
    expect(tap.returned).toBe(1)
    let signal: AbortSignal | undefined
    const controller = new AbortController()
    const endless = memoizeIterable(
      async function* () {
        signal = callSignal()
        for (let i = 0; i < 20; i++) yield i
        await new Promise(() => undefined)
      },
      { ...place(), maxItems: 10 },
    )
    const waits = all(endless.with({ signal: controller.signal })())
    await vi.waitFor(() => expect(endless.stats().refused).toBe(1))
    for (let i = 0; i < 5; i++) await setImmediate()
    controller.abort(new Error('left'))
    await expect(waits).rejects.toThrow('left')
    expect(signal?.aborted).toBe(true)
  })

  test('stale-if-error: the stale items stand in until the first new one is out', async () => {
    const clock = new FakeClock()
    let failAt = -1
    const replayed = memoizeIterable(
      async function* () {
        for (let i = 0; i < 2; i++) {
          if (i === failAt) throw new Error('down')
          yield i
        }
      },
      { ...place(), clock, ttl: 10, staleIfError: 1000 },
    )
    await all(replayed())
    clock.advance(11_000)
    failAt = 0
    expect(await all(replayed())).toEqual([0, 1])
    clock.advance(10_000)
    failAt = 1
    await expect(all(replayed())).rejects.toThrow('down')
  })

  test('stale-while-revalidate: a renewal nobody reads goes to its end', async () => {
    const clock = new FakeClock()
    const tap = new Tap()
    const replayed = memoizeIterable(tap.yields, { ...place(), clock, ttl: 10, staleWhileRevalidate: 1000 })
    await all(replayed(3))
    clock.advance(11_000)
    expect(await all(replayed(3))).toHaveLength(3)
    while (replayed.stats().stored < 2) await setImmediate()
    expect(tap.pulled).toBe(6)
    expect(replayed.stats()).toMatchObject({ stale: 1, refreshes: 1 })
  })

  test('D65: what is invalidated while it is read is not kept, and not joined', async () => {
    const tap = new Tap()
    const replayed = memoizeIterable(tap.gated, place())
    const before = all(replayed('a'))
    await tap.open()
    await replayed.invalidate('a')
    const after = all(replayed('a'))
    for (let i = 0; i < 5; i++) await tap.open()
    expect(await before).toHaveLength(3)
    expect(await after).toHaveLength(3)
    expect(tap.runs).toBe(2)
  })

  test('D72: a source that never goes on keeps nobody longer than hardTimeout', async () => {
    let calls = 0
    const replayed = memoizeIterable(
      async function* () {
        calls += 1
        yield 'first'
        if (calls === 1) await new Promise(() => undefined)
      },
      { ...place(), hardTimeout: 0.02 },
    )
    const reader = replayed()
    expect(await reader.next()).toEqual({ done: false, value: 'first' })
    await expect(reader.next()).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(await all(replayed())).toEqual(['first'])
  })

  test('D72: a source that reads itself is told so', async () => {
    const replayed = memoizeIterable(async function* (n: number): AsyncGenerator<number> {
      yield n
      yield* replayed(n)
    }, place())
    await expect(all(replayed(1))).rejects.toMatchObject({ code: 'ERR_REENTRANT' })
  })

  test('streams, and promises of iterables', async () => {
    let runs = 0
    const replayed = memoizeIterable(async (text: string) => {
      runs += 1
      return new Blob([text]).stream()
    }, place())
    const text = async (): Promise<string> => new TextDecoder().decode((await all(replayed('text')))[0])
    expect(await text()).toBe('text')
    expect(await text()).toBe('text')
    expect(runs).toBe(1)
  })
})

test('row 273: whoever reads, leaves, invalidates and fails, and whenever: one run’s items from the first on, and all of them where it ends', async () => {
  const act = fc.record({
    what: fc.constantFrom('open', 'open', 'read', 'read', 'read', 'leave', 'invalidate', 'turn'),
    who: fc.nat({ max: 3 }),
  })
  const lengths = fc.array(fc.record({ length: fc.nat({ max: 4 }), fails: fc.boolean() }), {
    minLength: 1,
    maxLength: 4,
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { maxLength: 40 }),
      lengths,
      fc.boolean(),
      fc.integer({ min: 1, max: 4 }),
      async (acts, plan, stored, maxItems) => {
        let runs = 0
        const source = async function* (): AsyncGenerator<string> {
          const run = runs++
          const { length, fails } = plan[run % plan.length] ?? { length: 0, fails: false }
          for (let i = 0; i < length; i++) {
            if (i % 2 === 1) await setImmediate()
            yield `${run}:${i}`
          }
          if (fails) throw new Error(`${run}:${length}`)
        }
        const replayed = memoizeIterable(source, { ...PLACES[stored ? 1 : 0][1](), maxItems })
        const readers: { reader: AsyncGenerator<string>; seen: string[]; end: string | null }[] = []
        const read = async (at: number): Promise<void> => {
          const one = readers[at]
          if (one === undefined || one.end !== null) return
          try {
            const next = await one.reader.next()
            if (next.done) one.end = 'whole'
            else one.seen.push(next.value)
          } catch (error) {
            one.end = String(error)
          }
        }
        const under: Promise<unknown>[] = []
        for (const { what, who } of acts) {
          if (what === 'open') readers.push({ reader: replayed(), seen: [], end: null })
          else if (what === 'read') under.push(read(who))
          else if (what === 'leave')
            under.push(readers[who]?.reader.return(undefined).then(() => undefined) ?? Promise.resolve())
          else if (what === 'invalidate') await replayed.invalidate()
          else await setImmediate()
        }
        await Promise.all(under)
        for (const at of readers.keys()) while (readers[at]?.end === null) await read(at)
        for (const { seen, end } of readers) {
          const run = Number(seen[0]?.split(':')[0] ?? 0)
          expect(seen).toEqual(seen.map((_, index) => `${run}:${index}`))
          const { length, fails } = plan[run % plan.length] ?? { length: 0, fails: false }
          if (seen.length > 0 && end?.startsWith('Error'))
            expect([end, fails]).toEqual([`Error: ${run}:${seen.length}`, true])
          if (seen.length > 0 && end === 'whole' && seen.length < length) expect(left(acts)).toBe(true)
        }
        const kept = await replayed.cache.get([])
        if (kept !== undefined && kept.length > 0) {
          const run = Number(kept[0]?.split(':')[0])
          expect(plan[run % plan.length]).toEqual({ length: kept.length, fails: false })
          expect(kept.length).toBeLessThanOrEqual(maxItems)
        }
      },
    ),
    { numRuns: 300 },
  )
})

/** Whoever leaves has seen a part, and knows it. */
function left(acts: readonly { readonly what: string }[]): boolean {
  return acts.some(({ what }) => what === 'leave')
}

test('row 264: with a lease, a slow reader here keeps no other process waiting', async () => {
  const tap = new Tap()
  const store = new SqliteStore(':memory:')
  const make = () => memoizeIterable(tap.yields, { name: 'leased', store, lease: 10 })
  const [here, there] = [make(), make()]
  const reader = here(5)
  expect(await reader.next()).toMatchObject({ value: 'item 0' })
  expect(await all(there(5))).toHaveLength(5)
  expect(tap.runs).toBe(1)
  expect(await all(reader)).toHaveLength(4)
  store.close()
})

test('row 268: types, name, this', async () => {
  const numbers = memoizeIterable(async function* count(this: { from: number }, to: number) {
    for (let i = this.from; i < to; i++) yield i
  })
  expectTypeOf(numbers).parameters.toEqualTypeOf<[number]>()
  expectTypeOf(numbers.call({ from: 1 }, 3)).toEqualTypeOf<AsyncGenerator<number, void, undefined>>()
  expect(await all(numbers.call({ from: 1 }, 3))).toEqual([1, 2])
  expect(numbers.name).toBe('count')
  expect(numbers.length).toBe(1)
})

test('S5: wrong options, arguments without a value, and functions that return something else', async () => {
  const tap = new Tap()
  expect(() => memoizeIterable(7 as never)).toThrow(/must be a function/)
  expect(() => memoizeIterable(tap.yields, { maxItems: 0 })).toThrow(/maxItems/)
  expect(() => memoizeIterable(tap.yields, { clone: 'freeze' } as never)).toThrow(/clone/)
  expect(() => memoizeIterable(tap.yields, { tll: 1 } as never)).toThrow(/did you mean ttl/)
  const anything = memoizeIterable(async function* (value: unknown) {
    yield value
  })
  const refused = anything(() => 1)
  await expect(refused.next()).rejects.toMatchObject({ code: 'ERR_KEY' })
  const wrong = memoizeIterable((() => 7) as never as () => AsyncIterable<never>)
  await expect(wrong().next()).rejects.toThrow(/async iterable/)
})
