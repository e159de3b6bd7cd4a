/** Memcached without a client: a `get` is written to a socket, and as many bytes are taken off it as the reply is known to have. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

interface Waiting {
  readonly start: number
  readonly length: number
  readonly total: number
  readonly resolve: (value: Uint8Array) => void
}

export class BareMemcached {
  readonly #socket: Socket
  readonly #waiting: Waiting[] = []
  #received: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket.on('data', (chunk) => this.#take(chunk))
  }

  static async connect(server: string): Promise<BareMemcached> {
    const colon = server.lastIndexOf(':')
    const socket = connect(Number(server.slice(colon + 1)), server.slice(0, colon)).setNoDelay(true)
    await once(socket, 'connect')
    return new BareMemcached(socket)
  }

  /** `length`: that of the value, which must be there. */
  get(key: string, length: number): Promise<Uint8Array> {
    const start = `VALUE ${key} 0 ${length}\r\n`.length
    return new Promise((resolve) => {
      this.#waiting.push({ start, length, total: start + length + '\r\nEND\r\n'.length, resolve })
      this.#socket.write(`get ${key}\r\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    for (let next = this.#waiting[0]; next !== undefined && this.#received.length >= next.total;) {
      const { start, length, total, resolve } = next
      resolve(this.#received.subarray(start, start + length))
      this.#received = this.#received.subarray(total)
      this.#waiting.shift()
      next = this.#waiting[0]
    }
  }
}
