/**
 * The conformance kit: every rule of the store contract (engine/ports.ts) as a test, for any store and any test runner.
 */
import { isListable, NEVER, type ListableStore, type MaybePromise, type Store } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { checkOptions, wrong } from '../stores/options.ts'
import { batches } from './batch-conformance.ts'
import { all, bodyOf, bytesOf, equal, KEYS, mustRead, ok, same, sideBySide, streamed, type It } from './checks.ts'
import { locks } from './lock-conformance.ts'
import { sampleHead, sampleMeta } from './samples.ts'

export interface ConformanceOptions {
  readonly name: string
  /** A new, empty store. */
  readonly make: () => MaybePromise<Store>
  readonly describe: (name: string, body: () => void) => unknown
  readonly test: (name: string, body: () => Promise<void>) => unknown
}

/**
 * Declares the tests. There are no switches: a store keeps all of it, and what it says of listing and locking besides.
 *
 * @example
 * ```ts
 * import { MemoryStore } from 'keepfresh'
 * import { storeConformance } from 'keepfresh/testing'
 * import { describe, test } from 'vitest'
 *
 * storeConformance({ name: 'my store', make: () => new MemoryStore(), describe, test })
 * ```
 */
export function storeConformance(options: ConformanceOptions): void {
  checkOptions('storeConformance', options, {
    name: { type: 'string' },
    make: { type: 'function' },
    describe: { type: 'function' },
    test: { type: 'function' },
  })
  for (const option of ['name', 'make', 'describe', 'test'] as const)
    if (options[option] === undefined) throw wrong('storeConformance', option, 'must be given')
  const { name, make, describe, test } = options
  const it = (title: string, body: (store: Store) => Promise<void>): void => {
    test(title, async () => {
      const store = await make()
      try {
        await body(store)
      } finally {
        await store.close()
      }
    })
  }
  describe(`${name}: the store contract`, () => {
    entries(it)
    streams(it)
    listing(it)
    batches(it)
    locks(it)
    it('use after close is ERR_STORE_CLOSED, and close is idempotent', async (store) => {
      await store.close()
      await store.close()
      const calls: readonly (() => unknown)[] = [
        () => store.read('a'),
        () => store.write(sampleHead('a'), new Uint8Array()),
        () => store.delete(['a']),
      ]
      for (const call of calls) {
        const error: unknown = await Promise.resolve()
          .then(call)
          .then(
            () => null,
            (thrown: unknown) => thrown,
          )
        ok(
          error instanceof StoreError && error.code === 'ERR_STORE_CLOSED',
          'use after close did not throw ERR_STORE_CLOSED',
        )
      }
    })
  })
}

/** In ms. */
const DAY = 86_400_000

function entries(it: It): void {
  it('row 191: a missing key is undefined', async (store) => {
    ok((await store.read('missing')) === undefined, 'something was there')
  })

  it('row 192, 99: what is written is read, whatever the key and the size', async (store) => {
    for (const [index, key] of KEYS.entries()) {
      const body = bytesOf([0, 1, 100, 70_000][index % 4] ?? 0, index + 1)
      await store.write(sampleHead(key), body)
      const entry = await mustRead(store, key)
      same(
        [entry.key, entry.meta, entry.createdAt, entry.expiresAt, entry.keepUntil, entry.body.size],
        [key, sampleMeta(key), 1000, 61_000, NEVER, body.length],
        key.slice(0, 20),
      )
      ok(
        equal(await bodyOf(entry), body) && (entry.body.bytes === null || equal(entry.body.bytes, body)),
        'the body differs',
      )
    }
    for (const key of KEYS) same((await mustRead(store, key)).key, key, 'another key answered')
  })

  it('instants are given back as they were: fractions of a millisecond, long ago, far away, or never', async (store) => {
    const now = Date.now()
    const instants: readonly (readonly [created: number, expires: number, keep: number])[] = [
      [now + 0.25, now + 60_000.5, now + 100_000.125],
      [0, 0, now + 60_000],
      [-5, -1.5, now + 60_000],
      // Over 30 days, and over 68 years: where servers count lifetimes in other ways.
      [now, now + 40 * DAY, now + 40 * DAY + 0.5],
      [now, now + 40_000 * DAY, now + 40_000 * DAY],
      [NEVER, NEVER, NEVER],
    ]
    for (const [createdAt, expiresAt, keepUntil] of instants) {
      await store.write(sampleHead('k', { createdAt, expiresAt, keepUntil }), bytesOf(10))
      const entry = await mustRead(store, 'k')
      same([entry.createdAt, entry.expiresAt, entry.keepUntil], [createdAt, expiresAt, keepUntil], 'instants')
      const change = { meta: sampleMeta('k'), expiresAt: expiresAt - 0.5, keepUntil: Math.min(keepUntil + 0.5, NEVER) }
      ok(await store.update('k', change, entry.version), 'update refused its own version')
      const after = await mustRead(store, 'k')
      same(
        [after.createdAt, after.expiresAt, after.keepUntil],
        [createdAt, change.expiresAt, change.keepUntil],
        'after',
      )
    }
  })

  it('indexes and marks are entries, too', async (store) => {
    const variants = {
      kind: 'variants',
      key: 'i',
      variants: [{ key: 'v', selecting: [['a', null]], date: 5, etag: 'W/"x"' }],
    } as const
    const mark = { kind: 'mark', key: 'm', at: 7, mode: 'stale' } as const
    await store.write(sampleHead('i', { meta: variants }), new Uint8Array())
    await store.write(sampleHead('m', { meta: mark }), new Uint8Array())
    same([(await mustRead(store, 'i')).meta, (await mustRead(store, 'm')).meta], [variants, mark], 'metadata')
  })

  it('row 192: a second write replaces the first, and is another version', async (store) => {
    await store.write(sampleHead('k'), bytesOf(10, 1))
    const first = await mustRead(store, 'k')
    const written = await store.write(sampleHead('k', { createdAt: 5000 }), bytesOf(20, 2))
    const second = await mustRead(store, 'k')
    ok(first.version !== second.version && second.createdAt === 5000, 'the version is the same')
    ok(written === undefined || written === second.version, 'write gave another version than it wrote')
    ok(equal(await bodyOf(second), bytesOf(20, 2)), 'the body is the old one')
  })

  it('rule 3: update changes metadata only, and only of this version', async (store) => {
    await store.write(sampleHead('k'), bytesOf(1000))
    const { version } = await mustRead(store, 'k')
    const change = { meta: sampleMeta('k', { status: 203 }), expiresAt: 9, keepUntil: 99 }
    ok(await store.update('k', change, version), 'update refused its own version')
    const after = await mustRead(store, 'k')
    same([after.meta, after.expiresAt, after.keepUntil], [change.meta, 9, 99], 'metadata')
    ok(equal(await bodyOf(after), bytesOf(1000)), 'the body changed')
    ok(!(await store.update('k', change, version)), 'update took a version that is gone')
    ok(!(await store.update('missing', change, version)), 'update made an entry')
  })

  it('rows 193, 194: delete takes any number of keys, ignores missing ones, touches no others', async (store) => {
    const keys = Array.from({ length: 2500 }, (_, n) => `key ${n}`)
    await sideBySide(keys, (key) => store.write(sampleHead(key), new Uint8Array(1)))
    await store.write(sampleHead('other'), new Uint8Array(1))
    same(
      [await store.delete([]), await store.delete([...keys, 'missing']), await store.delete(['key 0'])],
      [0, 2500, 0],
      'counts',
    )
    ok((await store.read('other')) !== undefined && (await store.read('key 7')) === undefined, 'the wrong keys went')
  })
}

function streams(it: It): void {
  const SIZE = 3_000_000

  it('rule 2: a streamed body is stored whole, and not visible before', async (store) => {
    const body = bytesOf(SIZE)
    let seen = false
    const watched = streamed(body, 100_000).pipeThrough(
      new TransformStream({
        async transform(chunk: Uint8Array, controller) {
          seen ||= (await store.read('k')) !== undefined
          controller.enqueue(chunk)
        },
      }),
    )
    await store.write(sampleHead('k'), watched)
    ok(!seen, 'it was visible before it was complete')
    const entry = await mustRead(store, 'k')
    ok(equal(await bodyOf(entry), body), 'the body differs')
    for (const [start, end] of [
      [0, 1],
      [99_999, 100_001],
      [SIZE - 5, SIZE],
      [1_000_000, 2_000_000],
    ] as const) {
      ok(equal(await bodyOf(entry, start, end), body.subarray(start, end)), `the range ${start}-${end} differs`)
    }
  })

  it('rule 2: a stream that fails stores nothing, leaves what was there, and rejects with its own error', async (store) => {
    await store.write(sampleHead('k'), bytesOf(10))
    const error: unknown = await Promise.resolve(
      store.write(sampleHead('k'), streamed(bytesOf(SIZE), 100_000, 1_500_000)),
    ).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    ok(
      error instanceof Error && error.message === 'the origin broke off',
      'the stream\u2019s own error did not come through',
    )
    ok(equal(await bodyOf(await mustRead(store, 'k')), bytesOf(10)), 'what was there is gone')
  })

  it('a stream of anything but bytes is refused, wherever in it that is', async (store) => {
    await store.write(sampleHead('k'), bytesOf(10))
    for (const before of [0, 400_000]) {
      for (const chunk of ['text', 5, null, new ArrayBuffer(3), {}] as never[]) {
        const parts = [bytesOf(before), chunk, bytesOf(10)]
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            const part = parts.shift()
            if (part === undefined) controller.close()
            else controller.enqueue(part)
          },
        })
        const refused = await Promise.resolve()
          .then(() => store.write(sampleHead('k'), body))
          .then(
            () => false,
            () => true,
          )
        ok(refused, `${typeof chunk} was taken for bytes`)
      }
    }
    ok(equal(await bodyOf(await mustRead(store, 'k')), bytesOf(10)), 'what was there is gone')
  })

  it('rule 4, 68: a reader of a replaced or deleted entry gets that version, or a failure: never a mix', async (store) => {
    const [old, young] = [bytesOf(SIZE, 1), bytesOf(SIZE, 2)]
    for (const change of [() => store.write(sampleHead('k'), streamed(young, 100_000)), () => store.delete(['k'])]) {
      await store.write(sampleHead('k'), streamed(old, 100_000))
      // Its failure is taken at once: it may come while the change is still under way.
      const reading = bodyOf(await mustRead(store, 'k')).catch(() => null)
      await change()
      const read = await reading
      ok(read === null || equal(read, old), 'a mix was read')
    }
  })

  it('66: of many writers of one key, one wins whole', async (store) => {
    await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        store.write(sampleHead('k', { createdAt: n }), streamed(bytesOf(400_000, n + 1), 50_000)),
      ),
    )
    const entry = await mustRead(store, 'k')
    ok(equal(await bodyOf(entry), bytesOf(400_000, entry.createdAt + 1)), 'head and body are of different writers')
  })
}

function listing(it: It): void {
  const listed = (title: string, body: (store: ListableStore) => Promise<void>): void => {
    it(title, async (store) => {
      if (isListable(store)) await body(store)
    })
  }
  const fill = async (store: Store): Promise<void> => {
    for (const [n, key] of ['b', 'a', 'c'].entries()) {
      await store.write(sampleHead(key, { createdAt: 100 + n, expiresAt: 300 - n }), new Uint8Array(n * 10))
    }
  }

  listed('row 195: an empty store lists nothing', async (store) => {
    same(
      [await all(store.keys()), await all(store.entries()), (await store.size()).entries],
      [[], [], 0],
      'an empty store',
    )
  })

  listed('row 195: keys are listed as they were given', async (store) => {
    for (const key of KEYS) await store.write(sampleHead(key), new Uint8Array(1))
    same((await all(store.keys())).toSorted(), KEYS.toSorted(), 'keys')
    same((await all(store.entries())).map(({ key }) => key).toSorted(), KEYS.toSorted(), 'entries')
    same(await store.delete(KEYS), KEYS.length, 'how many were deleted')
  })

  listed('rows 195, 208: listing orders, filters and limits, without bodies', async (store) => {
    await fill(store)
    const keys = async (query: Parameters<ListableStore['entries']>[0]): Promise<string> =>
      (await all(store.entries(query))).map(({ key }) => key).join('')
    same((await all(store.keys())).toSorted().join(''), 'abc', 'keys')
    same(
      [
        await keys({ order: 'created' }),
        await keys({ order: 'expires' }),
        await keys({ order: 'key' }),
        await keys({ order: 'size', descending: true }),
      ],
      ['bac', 'cab', 'abc', 'cab'],
      'orders',
    )
    same(
      [
        await keys({ order: 'key', limit: 2 }),
        await keys({ expiredAt: 299, order: 'key' }),
        await keys({ freshAt: 299 }),
        await keys({ createdBefore: 101 }),
      ],
      ['ab', 'ac', 'b', 'b'],
      'filters',
    )
    same((await store.size()).entries, 3, 'size')
  })

  listed('row 234: deleteWhere deletes what it selects', async (store) => {
    await fill(store)
    same(
      [
        await store.deleteWhere({ expiredAt: 298 }),
        await store.deleteWhere({ createdBefore: 101 }),
        await store.deleteWhere({ expiredAt: 1 }),
      ],
      [1, 1, 0],
      'counts',
    )
    same(await all(store.keys()), ['a'], 'what is left')
  })

  listed('row 196: clear empties, twice, and keys can be used again', async (store) => {
    await fill(store)
    await store.clear()
    await store.clear()
    same((await store.size()).entries, 0, 'entries')
    await fill(store)
    same((await store.size()).entries, 3, 'entries')
  })
}
