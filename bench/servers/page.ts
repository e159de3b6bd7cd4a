/** The page that every contender serves, what it costs to make, and how often it was made. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * `hit`: it may be kept for an hour, and is made at once; `no-store`: it must not be kept; `herd`: it may be kept for a few seconds, and takes
 * HERD_DELAY ms to make.
 */
export type Mode = 'hit' | 'no-store' | 'herd'

export const HERD_DELAY = 200
/** Seconds: longer than a herd takes to be answered, or the page would rightly be made twice. */
export const HERD_TTL = 5
const HOUR = 3600

export class Page {
  readonly mode: Mode
  readonly body: Buffer
  /** Seconds. */
  readonly ttl: number
  runs = 0

  constructor(mode: Mode, bytes: number) {
    this.mode = mode
    this.body = Buffer.alloc(bytes, 'a')
    this.ttl = mode === 'herd' ? HERD_TTL : HOUR
  }

  /** Counts, and takes as long as making the page takes; null: no time at all. */
  make(): Promise<void> | null {
    this.runs += 1
    return this.mode === 'herd' ? sleep(HERD_DELAY) : null
  }

  /** The handler of node:http and of what is like it: two fields and a buffer. */
  readonly answer = (_request: IncomingMessage, response: ServerResponse): void => {
    const made = this.make()
    if (made === null) this.#send(response)
    else void made.then(() => this.#send(response))
  }

  #send(response: ServerResponse): void {
    if (this.mode === 'no-store') response.setHeader('Cache-Control', 'no-store')
    response.setHeader('Content-Type', 'text/plain')
    response.setHeader('Content-Length', this.body.length)
    response.end(this.body)
  }

  /** Serves it, and the number of runs at /runs; tells the parent the port. */
  listen(listener: RequestListener): void {
    const server = createServer((request, response) => {
      if (request.url === '/runs') return void response.end(String(this.runs))
      return listener(request, response)
    })
    server.keepAliveTimeout = 60_000
    server.listen(0, '127.0.0.1', 65_535, () => process.send?.((server.address() as AddressInfo).port))
  }
}

/** Starts one contender. */
export type Start = (page: Page) => Promise<void> | void

/** Contenders of one framework, by the name in the tables: the framework's own first, then with each cache in front. */
export type Kinds = Readonly<Record<string, Start>>
