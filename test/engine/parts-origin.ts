/**
 * An origin of one resource in memory, with ranges and If-Range by the letter of RFC 9110: what it has is set, and it can be had to break a body
 * off, or to answer wrongly. For the tests of what is stored in part.
 */
export interface Seen {
  readonly range: string | null
  readonly ifRange: string | null
  readonly headers: Headers
  /** The status it was answered with. */
  readonly status: number
  /** Whether whoever asked left before the end. */
  left: boolean
}

export class PartsOrigin {
  readonly seen: Seen[] = []
  body: Uint8Array
  etag: string | null = '"1"'
  modified: string | null = null
  fields: Record<string, string> = { 'cache-control': 'max-age=60' }
  /** Break the next body off after so many bytes. */
  cut: number | null = null
  /** Leaves the next body open after so many bytes, until who asked leaves. */
  hang: number | null = null
  /** Takes the place of the next answers, where it gives one. */
  wrong: ((request: Headers) => Response | null) | null = null
  chunk = 1000
  /** Answers ranges whatever If-Range says, as an origin must not. */
  ignoresIfRange = false
  readonly #now: () => number

  constructor(body: Uint8Array, now: () => number) {
    this.body = body
    this.#now = now
  }

  get asked(): (string | null)[] {
    return this.seen.map(({ range }) => range)
  }

  readonly fetch = async (_: unknown, init: RequestInit = {}): Promise<Response> => {
    init.signal?.throwIfAborted()
    const headers = new Headers(init.headers)
    const given = this.wrong?.(headers) ?? null
    const [first, last, status] = this.#chosen(headers)
    const seen: Seen = {
      range: headers.get('range'),
      ifRange: headers.get('if-range'),
      headers,
      status: given?.status ?? status,
      left: false,
    }
    this.seen.push(seen)
    if (given !== null) return given
    const fields = new Headers({ date: new Date(this.#now()).toUTCString(), ...this.fields })
    if (this.etag !== null) fields.set('etag', this.etag)
    if (this.modified !== null) fields.set('last-modified', this.modified)
    if (status === 304) return new Response(null, { status, headers: fields })
    if (status === 416) {
      fields.set('content-range', `bytes */${this.body.length}`)
      return new Response('', { status, headers: fields })
    }
    if (status === 206) fields.set('content-range', `bytes ${first}-${last}/${this.body.length}`)
    fields.set('content-length', String(last - first + 1))
    const body =
      init.method === 'HEAD' ? null : this.#stream(this.body.slice(first, last + 1), seen, init.signal ?? null)
    return new Response(body, { status, headers: fields })
  }

  /** The positions of what is sent, and its status. */
  #chosen(headers: Headers): [first: number, last: number, status: number] {
    const whole: [number, number, number] = [0, this.body.length - 1, 200]
    const none = headers.get('if-none-match')
    if (none !== null && this.etag !== null && none.split(', ').includes(this.etag)) return [0, -1, 304]
    const condition = this.ignoresIfRange ? null : headers.get('if-range')
    if (condition !== null && condition !== (condition.includes('"') ? this.etag : this.modified)) return whole
    const match = /^bytes=(\d*)-(\d*)$/.exec(headers.get('range') ?? '')
    if (match === null) return whole
    const [, from = '', to = ''] = match
    if (from === '') return [Math.max(0, this.body.length - Number(to)), this.body.length - 1, 206]
    if (Number(from) >= this.body.length) return [0, -1, 416]
    return [Number(from), to === '' ? this.body.length - 1 : Math.min(Number(to), this.body.length - 1), 206]
  }

  #stream(bytes: Uint8Array, seen: Seen, signal: AbortSignal | null): ReadableStream<Uint8Array> {
    const { cut, hang, chunk } = this
    this.cut = null
    this.hang = null
    let at = 0
    return new ReadableStream<Uint8Array>(
      {
        start(controller) {
          signal?.addEventListener('abort', () => {
            seen.left = true
            controller.error(signal.reason)
          })
        },
        pull(controller) {
          if (cut !== null && at >= cut) throw new TypeError('terminated')
          if (hang !== null && at >= hang) return new Promise(() => undefined)
          const end = Math.min(at + chunk, bytes.length, cut ?? Infinity, hang ?? Infinity)
          if (end > at) controller.enqueue(bytes.slice(at, end))
          at = end
          if (at >= bytes.length) controller.close()
          return undefined
        },
        cancel: () => void (seen.left = true),
      },
      { highWaterMark: 0 },
    )
  }
}

/** Bytes that say where they are, and of which version: a byte in the wrong place, or of another version, is never the right one. */
export function versioned(size: number, version: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  for (let n = 0; n < size; n++) bytes[n] = (n * 31 + (n >> 8) * 17 + version * 97 + 1) & 0xff
  return bytes
}
