/**
 * Conformance rows: what RFCs say a cache does, as data. A row is a sequence of steps against one cache and a scripted origin.
 *
 * Rule 1: a step says who must answer (`from`), and, where it matters, what the origin was sent and what the caller sees.
 * Rule 2: the origin sends Date, as RFC 9110 section 6.6.1 demands of it, unless a row says `date: null`.
 * Rule 3: the origin's bodies are numbered ('body 1', 'body 2'), so that an answer from the wrong response cannot pass.
 */
import { expect, test } from 'vitest'
import { createCachedFetch, type CachedFetch, type CacheOptions } from '../../src/index.ts'
import { FakeClock } from '../../src/testing/index.ts'

/** Whole seconds: Wed, 16 Jan 2030 12:00:00 GMT. */
export const START: number = Date.UTC(2030, 0, 16, 12)

export const HOST = 'http://origin.test'

/** The HTTP date of an instant so many seconds after the start. */
export function at(seconds: number): string {
  return new Date(START + seconds * 1000).toUTCString()
}

export type Fields = Readonly<Record<string, string | readonly string[] | null>>

export interface Ask {
  readonly method?: string
  /** The path, or a whole URL. Default '/'. */
  readonly url?: string
  readonly headers?: Record<string, string>
  readonly body?: string
  readonly cache?: NonNullable<RequestInit['cache']>
}

/** What the origin answers; 'fails': the connection does. */
export type Answer =
  | 'fails'
  | {
      readonly status?: number
      readonly headers?: Fields
      readonly body?: string
      /** Seconds the exchange takes. */
      readonly takes?: number
    }

/**
 * Who answers. 'origin': it was asked, and its answer is the caller's. 'store': the origin was not asked. 'validated': it was asked
 * conditionally, said 304, and the stored body is the caller's. 'cache': the cache's own 504. 'error': the call fails.
 * 'stale': the origin was asked in vain, and the stored response is the caller's.
 */
export type From = 'origin' | 'store' | 'validated' | 'cache' | 'error' | 'stale'

export interface Step {
  readonly ask?: Ask
  /** Seconds that pass before this step. */
  readonly after?: number
  readonly origin?: Answer
  readonly from: From
  /** The fields the origin is sent; null: not this one. */
  readonly sent?: Fields
  readonly status?: number
  /** What the caller sees of fields; null: not this one. */
  readonly sees?: Fields
  readonly body?: string
}

export interface Row {
  /** The document and section, and the rule in a few words. */
  readonly name: string
  /** Default 'both': the row holds for private and shared caches alike. */
  readonly cache?: 'private' | 'shared' | 'both'
  readonly options?: CacheOptions
  readonly steps: readonly Step[]
}

interface Logged {
  readonly method: string
  readonly url: string
  readonly headers: Headers
}

/** A cache over a scripted origin, on a clock of their own. */
export class Bench {
  readonly clock: FakeClock = new FakeClock(START)
  readonly log: Logged[] = []
  readonly cached: CachedFetch
  next: Answer | ((request: Logged) => Answer) = {}

  constructor(options: CacheOptions = {}) {
    this.cached = createCachedFetch({ clock: this.clock, fetch: this.#origin, ...options })
  }

  readonly #origin = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const request = { method: init.method ?? 'GET', url: String(input), headers: new Headers(init.headers) }
    this.log.push(request)
    const number = this.log.length
    const answer = typeof this.next === 'function' ? this.next(request) : this.next
    if (answer === 'fails') throw new TypeError('fetch failed')
    this.clock.advance((answer.takes ?? 0) * 1000)
    const { status = 200, headers = {}, body = `body ${number}` } = answer
    const none = status === 204 || status === 205 || status === 304 || request.method === 'HEAD'
    // Bytes: a string would bring a Content-Type of its own.
    return new Response(none ? null : new TextEncoder().encode(body), {
      status,
      headers: headersOf({ date: this.date(), ...headers }),
    })
  }

  date(): string {
    return new Date(this.clock.now()).toUTCString()
  }

  async ask({ url = '/', ...init }: Ask = {}): Promise<{
    status: number
    headers: Headers
    body: string
    stored: boolean
  }> {
    const response = await this.cached(url.startsWith('http') ? url : HOST + url, { redirect: 'manual', ...init })
    const { status, headers, fromCache } = response
    const seen = { status, headers, body: await response.text(), stored: fromCache }
    // Background refreshes and indexes of variants settle before the next step.
    for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve))
    return seen
  }
}

export function headersOf(fields: Fields): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(fields)) {
    if (value === null) continue
    for (const line of typeof value === 'string' ? [value] : value) headers.append(name, line)
  }
  return headers
}

/** Declares the rows as tests: one a kind of cache. */
export function rows(list: readonly Row[]): void {
  for (const row of list) {
    const { cache = 'both' } = row
    for (const kind of cache === 'both' ? (['private', 'shared'] as const) : [cache])
      test(`${row.name} (${kind})`, () => run(row, kind === 'shared'))
  }
}

async function run({ options, steps }: Row, shared: boolean): Promise<void> {
  const bench = new Bench({ shared, ...options })
  const bodies = new Map<string, string>()
  for (const [index, step] of steps.entries()) await perform(bench, bodies, step, `step ${index + 1}`)
}

async function perform(bench: Bench, bodies: Map<string, string>, step: Step, label: string): Promise<void> {
  bench.clock.advance((step.after ?? 0) * 1000)
  bench.next = step.origin ?? {}
  const before = bench.log.length
  const url = step.ask?.url ?? '/'
  if (step.from === 'error') {
    await expect(bench.ask(step.ask), label).rejects.toThrow()
    expect(bench.log.length, `${label}: origin asked`).toBe(before + 1)
    return
  }
  const seen = await bench.ask(step.ask)
  const asked = bench.log.slice(before)
  const last = asked.at(-1)
  expect([label, asked.length, seen.stored], `${label}: requests to the origin, answered from the store`).toEqual([
    label,
    step.from === 'store' || step.from === 'cache' ? 0 : 1,
    step.from === 'store' || step.from === 'validated' || step.from === 'stale',
  ])
  if (step.from === 'validated')
    expect(last?.headers.has('if-none-match') || last?.headers.has('if-modified-since'), `${label}: conditional`).toBe(
      true,
    )
  if (step.from === 'cache') expect(seen.status, label).toBe(504)
  expectFields(step.sent, last?.headers, `${label}: sent`)
  expectFields(step.sees, seen.headers, `${label}: seen`)
  if (step.status !== undefined) expect(seen.status, label).toBe(step.status)
  if (step.body !== undefined) expect(seen.body, label).toBe(step.body)
  else if (step.from === 'origin') {
    const own = seen.status === 304 || step.ask?.method === 'HEAD' ? '' : `body ${bench.log.length}`
    if (seen.body !== '' && (step.origin === undefined || (step.origin !== 'fails' && step.origin.body === undefined)))
      expect(seen.body, label).toBe(own)
    if ((step.ask?.method ?? 'GET') === 'GET' && seen.status !== 304) bodies.set(url, seen.body)
  } else if (step.from !== 'cache' && seen.status === 200 && step.ask?.method !== 'HEAD')
    expect(seen.body, label).toBe(bodies.get(url) ?? seen.body)
}

function expectFields(wanted: Fields | undefined, headers: Headers | undefined, label: string): void {
  for (const [name, value] of Object.entries(wanted ?? {}))
    expect([name, headers?.get(name) ?? null], label).toEqual([name, value])
}

/** A response that is fresh for a minute and can be validated. */
export const MINUTE: Fields = { 'cache-control': 'max-age=60', etag: '"1"' }

/** The first step of many rows. */
export const miss = (headers: Fields, more: Partial<Step> = {}): Step => ({
  from: 'origin',
  origin: { headers },
  ...more,
})
export const hit = (more: Partial<Step> = {}): Step => ({ from: 'store', ...more })
export const validated = (headers: Fields = {}, more: Partial<Step> = {}): Step => ({
  from: 'validated',
  origin: { status: 304, headers },
  ...more,
})
