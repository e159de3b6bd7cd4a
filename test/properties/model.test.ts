/** A cache in front of an origin that keeps RFC 9110 (model-origin.ts): whatever is asked in whatever order, no answer is one it may not give. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCachedFetch, MemoryStore, type CachedFetch } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock } from '../../src/testing/index.ts'
import {
  alike,
  ModelOrigin,
  resolve,
  UNREACHABLE,
  type Mood,
  type Representation,
  type Resource,
} from './model-origin.ts'

const URL_OF_IT = 'http://origin.test/it'

const resource: fc.Arbitrary<Resource> = fc.record({
  control: fc.constantFrom(
    'max-age=10',
    'max-age=10, must-revalidate',
    'max-age=10, stale-while-revalidate=20',
    'max-age=10, stale-if-error=20',
    'no-cache',
    'max-age=0',
    'no-store',
  ),
  tags: fc.constantFrom('strong', 'strong', 'weak', 'none'),
  dates: fc.boolean(),
  varies: fc.boolean(),
  personal: fc.boolean(),
  ranges: fc.boolean(),
})

interface Turn {
  readonly after: number
  readonly before: 'nothing' | 'change'
  readonly mood: Mood
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly lang: string | null
  readonly who: string | null
  readonly control: string | null
  readonly mode: 'default' | 'no-store' | 'reload' | 'no-cache' | 'force-cache' | 'only-if-cached'
  readonly range: string | null
  /** Conditions name the validators of the version so many ago. */
  readonly none: number | '*' | null
  readonly since: number | null
  readonly ifRange: number | null
}

const often = <T>(usual: T, ...rare: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...rare) })

const turn: fc.Arbitrary<Turn> = fc.record({
  after: fc.constantFrom(0, 0, 0.5, 1, 4, 12),
  before: often('nothing', 'change'),
  mood: often<Mood>('well', 500, 503, 'gone'),
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
  lang: fc.constantFrom('d', 'e', null),
  who: often<string | null>(null, 'a', 'b'),
  control: often<string | null>(
    null,
    'max-age=3',
    'max-stale=5',
    'min-fresh=4',
    'no-cache',
    'no-store',
    'only-if-cached',
  ),
  mode: often<Turn['mode']>('default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'),
  range: fc.constantFrom(
    null,
    null,
    'bytes=0-3',
    'bytes=4-',
    'bytes=-4',
    'bytes=2-5',
    'bytes=0-',
    'bytes=90-',
    'lines=1-2',
  ),
  none: often<number | '*' | null>(null, 0, 1, '*'),
  since: often<number | null>(null, 0, 1),
  ifRange: often<number | null>(null, 0, 1),
})

const atOnce: fc.Arbitrary<Turn[]> = fc.array(
  turn.filter(({ method }) => method !== 'POST'),
  { minLength: 2, maxLength: 3 },
)
const steps: fc.Arbitrary<Turn | Turn[]> = fc.oneof({ weight: 4, arbitrary: turn }, { weight: 1, arbitrary: atOnce })

interface Got {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

class Play {
  readonly clock = new FakeClock(Date.UTC(2030, 0, 16, 12))
  readonly origin: ModelOrigin
  readonly cached: CachedFetch
  readonly #resource: Resource
  readonly #shared: boolean
  /** Where in the log the last change by POST is. */
  #changed = 0

  constructor(shape: Resource, shared: boolean, store: MemoryStore | SqliteStore) {
    this.#resource = shape
    this.#shared = shared
    this.origin = new ModelOrigin(shape, this.clock)
    this.cached = createCachedFetch({ clock: this.clock, fetch: this.origin.fetch, shared, store })
  }

  /** Section 4.3.5: without validators a HEAD of the same length counts as one that agrees, as it may not be here. */
  #possible(one: Turn): Turn {
    const { tags, dates } = this.#resource
    return one.method === 'HEAD' && tags === 'none' && !dates ? { ...one, method: 'GET' } : one
  }

  async turn(given: Turn): Promise<void> {
    const one = this.#possible(given)
    const { origin, clock } = this
    clock.advance(one.after * 1000)
    if (one.before === 'change') origin.change()
    origin.mood = one.mood
    const headers = this.#headers(one)
    const before = origin.asked
    const got = await this.#ask(one, headers)
    // In the course of it, and not behind it.
    const asked = origin.asked > before
    await settled()
    if (one.method === 'POST') {
      if (got?.status === 204) this.#changed = origin.log.length
      // What comes within the very millisecond of an invalidation may count as older.
      clock.advance(1)
    } else if (got === null) expect(one.mood).toBe('gone')
    else this.#judge(one, headers, got, asked)
    if (got?.status === 200 && isPlain(one) && this.#isKept(one)) await this.#again(one)
  }

  #isKept({ who }: Turn): boolean {
    const { control, personal } = this.#resource
    return control.startsWith('max-age=10') && !(this.#shared && (personal || who !== null))
  }

  /** Several at once: who had the origin asked is not told apart. */
  async together(turns: readonly Turn[]): Promise<void> {
    const all = turns.map((one) => ({ one: this.#possible(one), headers: this.#headers(one) }))
    const got = await Promise.all(all.map(({ one, headers }) => this.#ask(one, headers)))
    await settled()
    for (const [index, { one, headers }] of all.entries()) {
      const answer = got[index] ?? null
      if (answer === null) expect(this.origin.mood).toBe('gone')
      else this.#judge({ ...one, mood: this.origin.mood }, headers, answer, null)
    }
  }

  /** What was stored a moment ago is there, or what took its place behind. */
  async #again(one: Turn): Promise<void> {
    const { asked } = this.origin
    const again = await this.#ask(one, this.#headers(one))
    expect([again?.status, this.origin.asked]).toEqual([200, asked])
  }

  #headers(one: Turn): Headers {
    const headers = new Headers()
    const set = (name: string, value: string | null | undefined): void => {
      if (value !== null && value !== undefined) headers.set(name, value)
    }
    set('x-lang', one.lang)
    set('authorization', one.who)
    set('cache-control', one.control)
    set('range', one.range)
    const before = (ago: number | null): Representation | undefined =>
      ago === null ? undefined : this.origin.representation(this.origin.nameFor(headers, this.origin.version - ago))
    set('if-none-match', one.none === '*' ? '*' : before(one.none)?.etag)
    set('if-modified-since', before(one.since)?.modified)
    const held = before(one.ifRange)
    if (one.range !== null) set('if-range', held?.etag ?? held?.modified)
    return headers
  }

  async #ask({ method, mode }: Turn, headers: Headers): Promise<Got | null> {
    try {
      const response = await this.cached(URL_OF_IT, { method, headers, cache: mode })
      return { status: response.status, headers: response.headers, body: await response.text() }
    } catch (error) {
      if (!(error instanceof TypeError) || error.message !== UNREACHABLE) throw error
      return null
    }
  }

  #judge(one: Turn, sent: Headers, got: Got, asked: boolean | null): void {
    const { status, headers, body } = got
    if (status === 500 || status === 503) {
      expect([status, body, asked ?? true]).toEqual([one.mood, one.method === 'HEAD' ? '' : 'trouble', true])
      return
    }
    if (status === 504) {
      expect([asked ?? false, one.control === 'only-if-cached' || one.mode === 'only-if-cached']).toEqual([false, true])
      return
    }
    if (status === 416) return this.#judgeUnsatisfied(sent, got)
    const is = this.origin.representation(headers.get('x-is'))
    expect(is, 'x-is').toBeDefined()
    if (is === undefined) return
    expect([headers.get('etag'), headers.get('last-modified')]).toEqual([is.etag, is.modified])
    const { version } = /^(?<version>\d+)/.exec(is.is)?.groups ?? {}
    expect(is.is, 'in the language asked for, for who asked').toBe(this.origin.nameFor(sent, Number(version)))
    if (asked === false) this.#judgeStored(one, got, is.is)
    else if (asked === true && one.mood !== 'well') {
      expect(this.#resource.control, 'RFC 5861 section 4').toContain('stale-if-error')
      expect(Number(headers.get('age'))).toBeLessThanOrEqual(30)
    }
    const length = headers.get('content-length')
    if (status === 304) {
      expect(body).toBe('')
      const none = sent.get('if-none-match')
      if (none !== null) expect(none === '*' || (is.etag !== null && alike(none, is.etag)), 'If-None-Match').toBe(true)
      else
        expect(Date.parse(is.modified ?? headers.get('date') ?? '')).toBeLessThanOrEqual(
          Date.parse(sent.get('if-modified-since') ?? ''),
        )
    } else if (status === 206) this.#judgePart(one, sent, got, is)
    else {
      expect(status).toBe(200)
      expect(body).toBe(one.method === 'HEAD' ? '' : is.body)
      if (length !== null) expect(length).toBe(String(is.body.length))
    }
  }

  #judgeUnsatisfied(sent: Headers, { headers, body }: Got): void {
    const total = /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
    expect([body, resolve(sent.get('range') ?? '', Number(total))]).toEqual(['', null])
  }

  #judgePart(one: Turn, sent: Headers, { headers, body }: Got, is: Representation): void {
    const wanted = resolve(sent.get('range') ?? '', is.body.length)
    const [first, last] = Array.isArray(wanted) ? wanted : [-1, -1]
    expect([one.method, headers.get('content-range'), body]).toEqual([
      'GET',
      `bytes ${first}-${last}/${is.body.length}`,
      is.body.slice(first, last + 1),
    ])
    const condition = sent.get('if-range')
    if (condition === null) return
    expect(condition.startsWith('W/')).toBe(false)
    expect(condition).toBe(condition.includes('"') ? is.etag : is.modified)
  }

  /** What the origin was not asked for: whether it could be given so. */
  #judgeStored(one: Turn, { headers }: Got, is: string): void {
    const { control } = this.#resource
    const { log } = this.origin
    expect([one.mode, one.control]).not.toContain('reload')
    expect(one.mode).not.toBe('no-store')
    expect(one.mode).not.toBe('no-cache')
    expect(control).not.toBe('no-store')
    const age = Number(headers.get('age'))
    // Section 4.2.3: it is as old as the answer that it was received or validated by.
    const known = log.filter((told, at) => told.is === is && at >= this.#changed)
    expect(known.length, 'section 4.4: told of since the last change that the cache saw').toBeGreaterThan(0)
    expect(known.map(({ at }) => Math.floor((this.clock.now() - at) / 1000))).toContain(age)
    if (one.mode === 'force-cache' || one.mode === 'only-if-cached') return
    expect([one.control, control]).not.toContain('no-cache')
    const window = control.includes('while')
      ? 20
      : control.includes('if-error') && one.control === 'only-if-cached'
        ? 20
        : 0
    const stale =
      one.control === 'max-stale=5' && !control.includes('must')
        ? 5
        : one.control === null || one.control === 'only-if-cached'
          ? window
          : 0
    const lifetime = control.startsWith('max-age=10') ? 10 : 0
    expect(age).toBeLessThan(lifetime + stale + (stale > 0 ? 1 : 0))
    if (one.control === 'max-age=3') expect(age).toBeLessThanOrEqual(3)
    if (one.control === 'min-fresh=4') expect(age).toBeLessThanOrEqual(6)
  }
}

function isPlain({ method, mood, control, mode, range, none, since }: Turn): boolean {
  const asks = control ?? range ?? none ?? since
  return method === 'GET' && mood === 'well' && mode === 'default' && asks === null
}

async function settled(): Promise<void> {
  for (let n = 0; n < 6; n++) await new Promise((resolved) => setImmediate(resolved))
}

/** More by hand: RUNS=20000. */
const RUNS = Number(process.env['RUNS'] ?? 200)

test.for([
  ['memory', () => new MemoryStore()],
  ['sqlite', () => new SqliteStore(':memory:')],
] as const)('any turns, on %s', { timeout: 120_000 }, async ([, make]) => {
  await fc.assert(
    fc.asyncProperty(
      resource,
      fc.boolean(),
      fc.array(steps, { minLength: 2, maxLength: 9 }),
      async (shape, shared, turns) => {
        const store = make()
        const play = new Play(shape, shared, store)
        for (const step of turns)
          if (Array.isArray(step)) await play.together(step)
          else await play.turn(step)
        await play.cached.close()
        await store.close()
      },
    ),
    { numRuns: RUNS },
  )
})
