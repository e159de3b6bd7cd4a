/** A server to talk to over real sockets, and requests that see every header line. */
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly raw: readonly string[]
  readonly body: Buffer
  readonly text: string
}

export interface Running {
  readonly url: string
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Answer>
  close(): Promise<void>
}

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
    get: (path, headers = {}, method = 'GET') => ask(url + path, method, headers),
    close: async () => void (await close()),
  }
}

function ask(url: string, method: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers, agent: false }, (response) => {
      buffer(response).then((body) => {
        const { statusCode: status = 0, rawHeaders: raw } = response
        resolve({ status, headers: response.headers, raw, body, text: body.toString() })
      }, reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}
