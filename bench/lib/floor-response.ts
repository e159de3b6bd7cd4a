/** A response whose body and headers are made only when somebody asks: the least that a hit can hand out and still be a Response. */

/** A stored response as the floors keep it. */
export interface Stored {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly bytes: Buffer
}

export class FloorResponse {
  readonly stored: Stored
  bodyUsed = false
  constructor(stored: Stored) {
    this.stored = stored
  }
  get status(): number {
    return this.stored.status
  }
  get headers(): Headers {
    return new Headers(this.stored.headers.map(([name, value]): [string, string] => [name, value]))
  }
  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return new Response(this.take()).body
  }
  async text(): Promise<string> {
    return this.take().toString()
  }
  async json(): Promise<unknown> {
    return JSON.parse(this.take().toString())
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = this.take()
    return buffer.slice(byteOffset, byteOffset + byteLength)
  }
  private take(): Buffer<ArrayBuffer> {
    if (this.bodyUsed) throw new TypeError('Body is unusable')
    this.bodyUsed = true
    return this.stored.bytes as Buffer<ArrayBuffer>
  }
}
Object.setPrototypeOf(FloorResponse.prototype, Response.prototype)

/** Asks the origin: what a floor stores on its first call. */
export async function fetchStored(url: string): Promise<Stored> {
  const response = await fetch(url)
  const bytes = Buffer.from(await response.arrayBuffer())
  return { status: response.status, headers: [...response.headers], bytes }
}

/** The instant, in ms, until which a response with `max-age` stays fresh: all that the bench's origin sends. */
export function freshUntil(stored: Stored): number {
  const control = stored.headers.find(([name]) => name === 'cache-control')?.[1] ?? ''
  return Date.now() + Number(/max-age=(\d+)/.exec(control)?.[1] ?? 0) * 1000
}
