/** Servers and visitors that speak HTTP/2. */
import { STATUS_CODES } from 'node:http'
import {
  connect,
  type ClientHttp2Session,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
  type SecureServerOptions,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Answer, Running } from './support.ts'

export interface Running2 extends Running {
  readonly session: ClientHttp2Session
}

/** A secret that both ends know stands in for a certificate. */
const SECRET = Buffer.alloc(32, 1)
const CIPHERS = 'PSK+HIGH:@SECLEVEL=0'

/** Options of a server that speaks TLS with `listen2`. */
export const TLS: SecureServerOptions = { ciphers: CIPHERS, pskCallback: () => SECRET, allowHTTP1: true }

const VISITOR: SecureClientSessionOptions = {
  ciphers: CIPHERS,
  pskCallback: () => ({ psk: SECRET, identity: 'visitor' }),
  checkServerIdentity: () => undefined,
}

/** Visitors of one HTTP/2 server, on one connection; a Host is told as `:authority`. */
export async function listen2(server: Http2Server | Http2SecureServer): Promise<Running2> {
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const secure = 'setSecureContext' in server
  const url = `${secure ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const session = connect(url, secure ? VISITOR : {})
  return {
    url,
    session,
    get: (path, headers = {}, method = 'GET') => ask(session, path, headers, method),
    close: async () => {
      session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function ask(
  session: ClientHttp2Session,
  path: string,
  { host, ...headers }: Record<string, string>,
  method: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const authority = host === undefined ? {} : { ':authority': host }
    const stream = session.request({ ...headers, ...authority, ':path': path, ':method': method })
    stream.on('error', reject)
    stream.on('response', (said: IncomingHttpHeaders) => {
      const { ':status': status = 0, ...fields } = said as IncomingHttpHeaders & { ':status'?: number }
      const raw = Object.entries(fields).flatMap(([name, value]) => [name, String(value)])
      buffer(stream).then((body) => {
        // HTTP/2 has no phrases.
        const phrase = STATUS_CODES[status] ?? ''
        resolve({ status, phrase, headers: fields, raw, body, text: body.toString(), reused: true })
      }, reject)
    })
    stream.end()
  })
}
