/**
 * An origin that keeps RFC 9110 to the letter, over one resource that changes: what it ever sent can be told from its answers, so that a
 * cache in front of it can be judged from outside.
 *
 * Rule 1: a version and a language have bytes of their own, of a length of their own: bytes of two never pass for those of one.
 * Rule 2: every answer says in `x-is` what it is about, and a validator, where there is one, is never that of another version.
 */
import type { FakeClock } from '../../src/testing/index.ts'

export interface Resource {
  readonly control: string
  readonly tags: 'strong' | 'weak' | 'none'
  readonly dates: boolean
  /** Varies on X-Lang. */
  readonly varies: boolean
  /** Is another for each user, and says so. */
  readonly personal: boolean
  /** Answers ranges. */
  readonly ranges: boolean
}

export interface Exchanged {
  readonly method: string
  readonly headers: Headers
  readonly status: number
  /** What it was about: '' where nothing is known of it. */
  readonly is: string
  readonly at: number
}

export type Mood = 'well' | 500 | 503 | 'gone'

/** What a version is in a language: `x-is`, and everything else that can be told of it. */
export interface Representation {
  readonly is: string
  readonly body: string
  readonly etag: string | null
  readonly modified: string | null
}

/** The message of its failure. */
export const UNREACHABLE = 'nobody is there'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

export class ModelOrigin {
  readonly log: Exchanged[] = []
  mood: Mood = 'well'
  /** How often it was asked, answer or not. */
  asked = 0
  version = 0
  readonly #resource: Resource
  readonly #clock: FakeClock
  readonly #known = new Map<string, Representation>()
  #modified: string

  constructor(resource: Resource, clock: FakeClock) {
    this.#resource = resource
    this.#clock = clock
    this.#modified = this.#date()
  }

  #date(): string {
    return new Date(this.#clock.now()).toUTCString()
  }

  /** Never twice within a second: else its dates could not tell two versions apart, and nobody could tell from them. */
  change(): void {
    this.#clock.advance(Math.max(0, Date.parse(this.#modified) + 1000 - this.#clock.now()))
    this.version += 1
    this.#modified = this.#date()
  }

  /** What it ever was, by `x-is`. */
  representation(is: string | null): Representation | undefined {
    return is === null ? undefined : this.#known.get(is)
  }

  /** What it is, or was in a version, to who asks so. */
  nameFor(headers: Headers, version: number = this.version): string {
    const { varies, personal } = this.#resource
    const lang = varies ? (headers.get('x-lang') ?? '-') : '*'
    return `${version}${lang}${personal ? (headers.get('authorization') ?? '-') : '*'}`
  }

  current(headers: Headers): Representation {
    const { tags, dates } = this.#resource
    const is = this.nameFor(headers)
    const known = this.#known.get(is)
    if (known !== undefined) return known
    const letter = LETTERS[this.#known.size % LETTERS.length] ?? 'A'
    const body = Array.from({ length: 8 + (this.version % 3) }, (_, n) => (n % 2 === 0 ? letter : String(n % 10))).join(
      '',
    )
    const etag = tags === 'none' ? null : `${tags === 'weak' ? 'W/' : ''}"${is}"`
    const made = { is, body, etag, modified: dates ? this.#modified : null }
    this.#known.set(is, made)
    return made
  }

  readonly fetch = async (_: unknown, init: RequestInit = {}): Promise<Response> => {
    const request = { method: init.method ?? 'GET', headers: new Headers(init.headers) }
    this.asked += 1
    if (this.mood === 'gone') throw new TypeError(UNREACHABLE)
    const { status, fields, body } = this.#answer(request)
    this.log.push({ ...request, status, is: fields['x-is'] ?? '', at: this.#clock.now() })
    const bytes = body === null || request.method === 'HEAD' ? null : new TextEncoder().encode(body)
    return new Response(bytes, { status, headers: { date: this.#date(), ...fields } })
  }

  #answer({ method, headers }: { method: string; headers: Headers }): {
    status: number
    fields: Record<string, string>
    body: string | null
  } {
    if (this.mood !== 'well') return { status: Number(this.mood), fields: {}, body: 'trouble' }
    if (method === 'POST') {
      this.change()
      return { status: 204, fields: {}, body: null }
    }
    const now = this.current(headers)
    const fields = this.#fields(now)
    if (this.#isUnchanged(headers, now)) return { status: 304, fields, body: null }
    const range = method === 'GET' && this.#resource.ranges ? headers.get('range') : null
    const part = range !== null && this.#rangeHolds(headers, now) ? resolve(range, now.body.length) : 'whole'
    if (part === 'whole')
      return { status: 200, fields: { ...fields, 'content-length': `${now.body.length}` }, body: now.body }
    if (part === null) return { status: 416, fields: { 'content-range': `bytes */${now.body.length}` }, body: '' }
    const [first, last] = part
    const content = {
      'content-range': `bytes ${first}-${last}/${now.body.length}`,
      'content-length': `${last - first + 1}`,
    }
    return { status: 206, fields: { ...fields, ...content }, body: now.body.slice(first, last + 1) }
  }

  #fields({ is, etag, modified }: Representation): Record<string, string> {
    const { control, varies, personal } = this.#resource
    return {
      'x-is': is,
      'cache-control': personal ? `${control}, private` : control,
      ...(etag === null ? {} : { etag }),
      ...(modified === null ? {} : { 'last-modified': modified }),
      ...(varies ? { vary: 'X-Lang' } : {}),
    }
  }

  #isUnchanged(headers: Headers, { etag, modified }: Representation): boolean {
    const wanted = headers.get('if-none-match')
    if (wanted !== null) return wanted === '*' || (etag !== null && wanted.split(', ').some((tag) => alike(tag, etag)))
    const since = headers.get('if-modified-since')
    // Section 13.1.3: its own date may be weak; who changes twice within a second must not rely on it.
    return since !== null && modified !== null && this.#isStrong(modified) && Date.parse(modified) <= Date.parse(since)
  }

  #isStrong(modified: string): boolean {
    return this.#clock.now() - Date.parse(modified) >= 1000
  }

  #rangeHolds(headers: Headers, { etag, modified }: Representation): boolean {
    const condition = headers.get('if-range')
    if (condition === null) return true
    if (condition.includes('"')) return condition === etag && !condition.startsWith('W/')
    return modified !== null && condition === modified && this.#isStrong(modified)
  }
}

/** RFC 9110 section 8.8.3.2: weak comparison. */
export function alike(a: string, b: string): boolean {
  return a.replace(/^W\//, '') === b.replace(/^W\//, '')
}

/** One range, as positions of the first and the last byte; null: none of it is there; 'whole': it is no range. */
export function resolve(range: string, length: number): [number, number] | null | 'whole' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range)
  if (match === null) return 'whole'
  const [, from = '', to = ''] = match
  if (from === '') return to === '0' ? null : [Math.max(0, length - Number(to)), length - 1]
  if (Number(from) >= length) return null
  return [Number(from), to === '' ? length - 1 : Math.min(Number(to), length - 1)]
}
