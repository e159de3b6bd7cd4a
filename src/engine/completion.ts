/**
 * Asking for the rest of what is stored in part, and putting the two together (RFC 9111 sections 3.3, 3.4; RFC 9110 section 15.3.7.3).
 *
 * Rule 1: the caller gets bytes of one representation: a part that is not exactly the one that was asked for, under the same strong
 *   validator, joins nothing.
 * Rule 2: what is stored is opened before the origin is asked. Where it breaks later (it was replaced or damaged meanwhile), the origin is
 *   asked for the rest of it, by the same rule.
 */
import { formatContentRange } from '../http/range.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList, RequestHead } from '../http/message.ts'
import { merged } from '../policy/conditional.ts'
import type { Lack, Part, ResponseMeta } from '../policy/decision.ts'
import { brings, fieldsFor } from '../policy/lack.ts'
import { lengthOf, placeOf } from '../policy/partial.ts'
import { partOf } from '../policy/storable.ts'
import type { Exchange } from './exchange.ts'
import { joined, type Piece } from './joined.ts'
import { discard, withoutRange } from './passing.ts'
import { unmeasured, wholeHeaders } from './parts.ts'
import type { OriginBody, OriginResponse } from './ports.ts'
import { StoredReplyBody, type ResponseEntry } from './reply.ts'
import type { StoreGuard } from './store-guard.ts'

/** Answers to what was asked for that say nothing to a caller who asked for something else. */
const BESIDE: ReadonlySet<number> = new Set([206, 304, 412, 416])

/** The rest of an entry, asked for. */
export class Rest {
  readonly #x: Exchange
  readonly #entry: ResponseEntry
  readonly #lack: Lack
  readonly #guard: StoreGuard
  readonly #signal: AbortSignal | null
  readonly #before: StoredReplyBody | null
  readonly #after: StoredReplyBody | null

  private constructor(x: Exchange, entry: ResponseEntry, lack: Lack, guard: StoreGuard, signal: AbortSignal | null) {
    const { wanted, missing } = lack
    this.#x = x
    this.#entry = entry
    this.#lack = lack
    this.#guard = guard
    this.#signal = signal
    this.#before = this.#stretch({ first: wanted.first, last: missing.first - 1 })
    this.#after = this.#stretch({ first: missing.last + 1, last: wanted.last })
  }

  /** Null: it is not to be asked for alone here, or what is stored cannot be read; that has been reported. */
  static async open(
    x: Exchange,
    entry: ResponseEntry | null,
    lack: Lack,
    guard: StoreGuard,
    signal: AbortSignal | null,
  ): Promise<Rest | null> {
    const { resume, filter, readOnly } = x.effective
    // A filter is for wholes, and decides over them before they are given away.
    if (entry === null || resume === null || filter !== null || readOnly || x.once) return null
    const rest = new Rest(x, entry, lack, guard, signal)
    const first = rest.#before ?? rest.#after
    const probe = first?.probe()
    try {
      if (probe !== undefined) await guard.soon(probe)
      return rest
    } catch (error) {
      guard.report('read', entry.key, error)
      // A store that is late: what it opens in the end is closed.
      probe?.then(() => first?.leave()).catch(() => undefined)
      return null
    }
  }

  #stretch(part: Part): StoredReplyBody | null {
    if (part.first > part.last) return null
    const place = placeOf(this.#entry.meta.parts ?? [], part.first)
    if (place === null) throw new RangeError(`byte ${part.first} is not stored`)
    const start = place.offset
    const failed = (error: unknown): void => this.#guard.report('read', this.#entry.key, error)
    return new StoredReplyBody(this.#entry.body, start, start + lengthOf(part), failed)
  }

  /** What the origin is asked. */
  get request(): RequestHead {
    return this.#requestFor(this.#lack.missing)
  }

  #requestFor(missing: Part): RequestHead {
    const { headers, ...request } = withoutRange(this.#x.request)
    return { ...request, headers: [...headers, ...fieldsFor({ ...this.#lack, missing }, this.#entry.meta.total)] }
  }

  #brings(response: OriginResponse, missing: Part): response is OriginResponse & { body: OriginBody } {
    return response.body !== null && !response.decoded && brings(response, missing, this.#entry.meta)
  }

  /** Whether the whole is what the caller asked for. */
  get #isWhole(): boolean {
    const { first, last } = this.#lack.wanted
    return first === 0 && last + 1 === this.#entry.meta.total && getHeader(this.#x.request.headers, 'range') === null
  }

  /** Whether an answer, as it is, is one to the caller's own request; else that is to be made. */
  answersCaller(response: OriginResponse): boolean {
    if (!BESIDE.has(response.status)) return true
    const part = this.#isWhole ? null : partOf(response)
    return part !== null && part.first === this.#lack.wanted.first && part.last === this.#lack.wanted.last
  }

  /** The answer to the caller's own request that stored and new bytes make together; null: they do not. */
  joined(response: OriginResponse): OriginResponse | null {
    const { wanted, missing } = this.#lack
    if (!this.#brings(response, missing)) return null
    // Held on to until its turn comes (ports.ts, `owner`).
    const fresh = { open: () => response.body, leave: () => discard(response) }
    const pieces: Piece[] = [{ length: lengthOf(missing), ...fresh }]
    if (this.#before !== null) pieces.unshift(this.#piece(this.#before, wanted.first))
    if (this.#after !== null) pieces.push(this.#piece(this.#after, missing.last + 1))
    const { meta } = this.#entry
    const headers = merged(meta.headers, response.headers)
    const head = this.#isWhole
      ? { status: 200, statusText: 'OK', headers: wholeHeaders(headers, meta.total ?? 0) }
      : { status: 206, statusText: response.statusText, headers: partHeaders(headers, wanted, meta) }
    return { ...response, ...head, originStatus: response.status, undelimited: false, body: joined(pieces) }
  }

  #piece(stored: StoredReplyBody, first: number): Piece {
    const last = first + stored.size - 1
    return {
      length: stored.size,
      open: () => stored.stream(),
      leave: () => stored.leave(),
      instead: async (after, error) => {
        const missing = { first: first + after, last }
        const response = await this.#x.origin(this.#requestFor(missing), this.#signal)
        if (this.#brings(response, missing)) return response.body
        discard(response)
        throw error
      },
    }
  }

  /** Nothing of what is stored is used. */
  leave(): void {
    this.#before?.leave()
    this.#after?.leave()
  }
}

function partHeaders(headers: HeaderList, part: Part, { total }: ResponseMeta): HeaderList {
  return [
    ...unmeasured(headers),
    ['content-range', formatContentRange(part.first, part.last, total)],
    ['content-length', String(lengthOf(part))],
  ]
}
