/** A server to talk to over real sockets, and requests that see every header line. */
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { ServerCacheApi } from '../../src/servers/api.ts'
import type { ServerCacheOptions } from '../../src/servers/options.ts'

export interface Answer {
  readonly status: number
  readonly phrase: string
  readonly headers: IncomingHttpHeaders
  readonly raw: readonly string[]
  readonly body: Buffer
  readonly text: string
  /** Whether it came on a connection that had carried another. */
  readonly reused: boolean
}

export interface Running {
  readonly url: string
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>
  close(): Promise<void>
}

/** What a handler is asked, whatever the framework. */
export interface Asked {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Marks the request as a known user's, in the framework's way. */
  signIn(user: object): void
}

/** What it says. */
export interface Said {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array | AsyncIterable<string | Uint8Array>
}

export type Handler = (asked: Asked) => Said | Promise<Said>

/** Puts a cache and a handler into a framework, and has it listen. */
export type Start = (
  handler: Handler,
  options: ServerCacheOptions,
) => Promise<{ readonly server: Running; readonly cache: ServerCacheApi }>

export async function listen(handler: RequestListener | Server): Promise<Running> {
  const server = typeof handler === 'function' ? createServer(handler) : handler
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return running(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
}

export function running(url: string, close: () => Promise<unknown>): Running {
  return {
    url,
    get: (path, headers = {}, method = 'GET') => ask(url + path, method, headers, false),
    close: async () => void (await close()),
  }
}

/** Requests one after the other on one connection. */
export function onOneConnection(server: Running): Running {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    url: server.url,
    get: (path, headers = {}, method = 'GET') => ask(server.url + path, method, headers, agent),
    close: async () => agent.destroy(),
  }
}

function ask(url: string, method: string, headers: Record<string, string>, agent: Agent | false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers, agent }, (response) => {
      buffer(response).then((body) => {
        const { statusCode: status = 0, statusMessage: phrase = '', rawHeaders: raw } = response
        const { reusedSocket: reused } = sent
        resolve({ status, phrase, headers: response.headers, raw, body, text: body.toString(), reused })
      }, reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** The pieces of a body, each when the one before was taken. */
export async function* pieces(...all: readonly (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  for (const piece of all) {
    yield piece
    await new Promise((resolve) => setImmediate(resolve))
  }
}
