/**
 * R2, RFC 9111 sections 3.3 and 3.4: whatever is asked for whole or in part, broken off, left or changed, in whatever order, nobody gets bytes
 * of two representations, nor fewer than the answer says; and what is stored in the end is what the origin has.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCachedFetch, MemoryStore, type CachedFetch, type Store } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { PartsOrigin, versioned } from '../engine/parts-origin.ts'

const URL_OF_IT = 'http://origin.test/it'

/** Bodies are stored whole up to here, as streams beyond. */
const INLINE = 500

class SmallMemory extends MemoryStore {
  override readonly limits = { maxEntrySize: Infinity, inlineSize: INLINE, persistent: false, shared: false }
}

type Turn =
  | { readonly kind: 'whole'; readonly mode: 'default' | 'no-cache' | 'reload' }
  | { readonly kind: 'range'; readonly from: number; readonly to: number | null }
  | { readonly kind: 'suffix'; readonly length: number }
  /** The caller stops after so many bytes: by its signal, or by cancelling. */
  | { readonly kind: 'left'; readonly after: number; readonly by: 'signal' | 'cancel' }
  | { readonly kind: 'together'; readonly count: number }
  | { readonly kind: 'change'; readonly size: number }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'delete' }

interface Step {
  readonly turn: Turn
  /** The first body of it breaks off after so many bytes. */
  readonly cut: number | null
  /** It changes while the first body of it is on its way. */
  readonly meanwhile: boolean
}

const size = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 501, max: 3000 }))
const position = fc.integer({ min: 0, max: 3200 })
const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('whole'),
      mode: fc.constantFrom('default', 'default', 'no-cache', 'reload'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({ from: position, length: fc.option(fc.integer({ min: 1, max: 2000 }), { nil: null }) })
      .map(({ from, length }) => ({ kind: 'range' as const, from, to: length === null ? null : from + length - 1 })),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('suffix'), length: fc.integer({ min: 1, max: 2000 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('left'), after: position, by: fc.constantFrom('signal', 'cancel') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('together'), count: fc.integer({ min: 2, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('change'), size }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass'), seconds: fc.constantFrom(1, 30, 100) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'delete' as const }) },
)
const step: fc.Arbitrary<Step> = fc.record({
  turn,
  cut: fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: position }),
  meanwhile: fc.oneof({ weight: 8, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})

interface Shape {
  readonly size: number
  readonly validator: 'strong' | 'weak' | 'date' | 'none'
  readonly control: string
  readonly backgroundFill: number
  readonly chunk: number
  readonly ignoresIfRange: boolean
}

const shape: fc.Arbitrary<Shape> = fc.record({
  size,
  validator: fc.constantFrom('strong', 'strong', 'strong', 'date', 'weak', 'none'),
  control: fc.constantFrom('max-age=60', 'max-age=60', 'no-cache', 'max-age=0, stale-while-revalidate=20'),
  backgroundFill: fc.constantFrom(0, 300),
  chunk: fc.constantFrom(100, 700),
  ignoresIfRange: fc.boolean(),
})

class Play {
  readonly clock = new FakeClock(Date.UTC(2030, 0, 16, 12))
  readonly origin: PartsOrigin
  readonly cached: CachedFetch
  readonly #shape: Shape
  readonly #versions: Uint8Array[] = []

  constructor(given: Shape, store: Store) {
    this.#shape = given
    this.origin = new PartsOrigin(new Uint8Array(), () => this.clock.now())
    this.origin.chunk = given.chunk
    this.origin.ignoresIfRange = given.ignoresIfRange
    this.cached = createCachedFetch({
      clock: this.clock,
      fetch: this.#fetch,
      store,
      resume: 1,
      backgroundFill: given.backgroundFill,
    })
    this.change(given.size)
    this.clock.advance(1500)
  }

  #meanwhile = false

  readonly #fetch = async (input: unknown, init?: RequestInit): Promise<Response> => {
    const response = await this.origin.fetch(input, init)
    if (this.#meanwhile) {
      this.#meanwhile = false
      this.change(this.#shape.size + 1)
    }
    return response
  }

  change(bytes: number): void {
    const { origin, clock } = this
    // Never twice within a second: its dates could not tell the two apart.
    clock.advance(1000)
    const version = this.#versions.length
    origin.body = versioned(bytes, version)
    this.#versions.push(origin.body)
    const { validator, control } = this.#shape
    origin.etag = validator === 'strong' ? `"${version}"` : validator === 'weak' ? `W/"${version}"` : null
    origin.modified = validator === 'date' ? new Date(clock.now()).toUTCString() : null
    origin.fields = { 'cache-control': control, 'x-is': String(version) }
  }

  async step({ turn: one, cut, meanwhile }: Step): Promise<void> {
    const { origin, cached, clock } = this
    if (one.kind === 'change') return this.change(one.size)
    if (one.kind === 'pass') return clock.advance(one.seconds * 1000)
    if (one.kind === 'delete') return void (await cached.cache.delete({ url: URL_OF_IT }))
    origin.cut = cut
    this.#meanwhile = meanwhile
    await this.#ask(one)
    await settled()
    origin.cut = null
    this.#meanwhile = false
  }

  #ask(one: Exclude<Turn, { kind: 'change' | 'pass' | 'delete' }>): Promise<unknown> {
    switch (one.kind) {
      case 'whole':
        return this.get({ cache: one.mode })
      case 'range':
        return this.get({ headers: { range: `bytes=${one.from}-${one.to ?? ''}` } })
      case 'suffix':
        return this.get({ headers: { range: `bytes=-${one.length}` } })
      case 'left':
        return this.#left(one.after, one.by)
      case 'together':
        return Promise.all(Array.from({ length: one.count }, () => this.get({})))
      default:
        throw one satisfies never
    }
  }

  /** False: it broke off, as the origin did. */
  async get(init: RequestInit): Promise<boolean> {
    const response = await this.cached(URL_OF_IT, init)
    let body: Uint8Array
    try {
      body = await response.bytes()
    } catch (error) {
      expect(String(error)).toMatch(/terminated|interrupted/)
      return false
    }
    this.#judge(response, body, new Headers(init.headers).get('range'))
    return true
  }

  async #left(after: number, by: 'signal' | 'cancel'): Promise<void> {
    const aborter = new AbortController()
    const response = await this.cached(URL_OF_IT, { signal: aborter.signal })
    const reader = response.body?.getReader()
    const seen: Uint8Array[] = []
    let read = 0
    try {
      while (read < after) {
        const next = await reader?.read()
        if (next?.value === undefined) break
        seen.push(next.value)
        read += next.value.length
      }
    } catch (error) {
      expect(String(error)).toMatch(/terminated|interrupted/)
    }
    const is = this.#versions[Number(response.headers.get('x-is'))]
    expect(Buffer.compare(Buffer.concat(seen), is?.subarray(0, read) ?? new Uint8Array(1))).toBe(0)
    if (by === 'signal') aborter.abort()
    else await reader?.cancel().catch(() => undefined)
  }

  #judge({ status, headers }: Response, body: Uint8Array, range: string | null): void {
    const is = this.#versions[Number(headers.get('x-is'))]
    expect(is, 'x-is').toBeDefined()
    if (is === undefined) return
    if (status === 416) {
      expect([headers.get('content-range'), body.length]).toEqual([`bytes */${is.length}`, 0])
      return
    }
    expect(headers.get('content-length')).toBe(String(body.length))
    if (status === 200) {
      expect(headers.get('content-range')).toBe(null)
      expect(Buffer.compare(body, is)).toBe(0)
      return
    }
    expect([status, range === null]).toEqual([206, false])
    const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '')
    const [first, last, total] = (match ?? []).slice(1).map(Number) as [number, number, number]
    expect(total).toBe(is.length)
    expect(Buffer.compare(body, is.subarray(first, last + 1))).toBe(0)
    const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? []
    const wanted =
      from === ''
        ? [Math.max(0, total - Number(to)), total - 1]
        : [Number(from), to === '' ? total - 1 : Math.min(Number(to), total - 1)]
    expect([first, last]).toEqual(wanted)
  }

  /** In the end the whole is what the origin has, from it and from the store. */
  async end(): Promise<void> {
    expect(await this.get({ cache: 'no-cache' })).toBe(true)
    await this.cached.cache.has(URL_OF_IT)
    const response = await this.cached(URL_OF_IT)
    const body = await response.bytes()
    expect(Buffer.compare(body, this.origin.body)).toBe(0)
    expect(response.headers.get('x-is')).toBe(String(this.#versions.length - 1))
  }
}

/** What is refreshed behind an answer has come in. */
async function settled(): Promise<void> {
  for (let n = 0; n < 40; n++) await new Promise((resolve) => setImmediate(resolve))
}

/** More by hand: RUNS=20000. */
const RUNS = Number(process.env['RUNS'] ?? 300)

const STORES: readonly (readonly [name: string, runs: number, make: (dir: string) => Store])[] = [
  ['memory', RUNS, () => new SmallMemory()],
  ['sqlite', RUNS / 2, () => new SqliteStore({ path: ':memory:', inlineSize: INLINE, chunkSize: 256 })],
  [
    'file',
    RUNS / 5,
    (dir) => new FileStore({ dir: mkdtempSync(join(dir, 'it-')), inlineSize: INLINE, chunkSize: 4096 }),
  ],
]

test.for(STORES)(
  'R2: never mixed, never short, whole in the end, on %s',
  { timeout: 120_000 },
  async ([, runs, make]) => {
    const dir = mkdtempSync(join(tmpdir(), 'keepfresh-test-'))
    await fc.assert(
      fc.asyncProperty(shape, fc.array(step, { minLength: 2, maxLength: 10 }), async (given, steps) => {
        const store = make(dir)
        const play = new Play(given, store)
        for (const one of steps) await play.step(one)
        await play.end()
        await play.cached.close()
        await store.close()
      }),
      { numRuns: runs },
    )
    rmSync(dir, { recursive: true, force: true })
  },
)
