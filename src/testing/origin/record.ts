/** The request log of the origin: what was received, counted as it arrives. */
import type { IncomingMessage } from 'node:http'
import type { OriginRequest } from './types.ts'

/** A record that is still filling up. */
export class RequestRecord implements OriginRequest {
  readonly serial: number
  readonly method: string
  readonly url: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly at: number
  bodySize = 0
  finished = false
  aborted = false
  #chunks: Uint8Array[] = []
  #kept = 0
  #limit: number

  constructor(serial: number, incoming: IncomingMessage, at: number, limit: number) {
    this.serial = serial
    this.method = incoming.method ?? 'GET'
    this.url = incoming.url ?? '/'
    const mark = this.url.indexOf('?')
    this.path = mark === -1 ? this.url : this.url.slice(0, mark)
    this.query = new URLSearchParams(mark === -1 ? '' : this.url.slice(mark + 1))
    this.headers = pairs(incoming.rawHeaders)
    this.at = at
    this.#limit = limit
  }

  get body(): Uint8Array {
    return Buffer.concat(this.#chunks)
  }

  header(name: string): string | null {
    const wanted = name.toLowerCase()
    const values = this.headers.filter(([key]) => key === wanted).map(([, value]) => value)
    return values.length === 0 ? null : values.join(', ')
  }

  /** Reads the body to its end, keeping the first `limit` bytes. Ends early, without an error, when the client goes away. */
  async read(incoming: IncomingMessage): Promise<void> {
    try {
      for await (const chunk of incoming) this.#keep(chunk)
    } catch (error) {
      if (!incoming.destroyed) throw error
    }
  }

  #keep(chunk: unknown): void {
    if (!(chunk instanceof Uint8Array)) return
    this.bodySize += chunk.length
    const room = this.#limit - this.#kept
    if (room <= 0) return
    this.#chunks.push(chunk.subarray(0, room))
    this.#kept += Math.min(room, chunk.length)
  }
}

function pairs(raw: readonly string[]): readonly (readonly [string, string])[] {
  const lines: (readonly [string, string])[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push([(raw[i] ?? '').toLowerCase(), raw[i + 1] ?? ''])
  return lines
}
