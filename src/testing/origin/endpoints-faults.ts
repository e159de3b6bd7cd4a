/** Endpoints that are slow, endless, broken off or unusual on the wire: /slow, /drip, /stream, /reset, /short, /trailers, ... */
import { bodyBytes } from './body.ts'
import { bad } from './endpoints-echo.ts'
import type { Router } from './router.ts'
import type { OriginAnswer, OriginExchange } from './types.ts'

export function addFaultEndpoints(router: Router): void {
  router.add('/stream/{n}', stream)
  router.add('/stream-bytes/{n}', ({ params, request }) => ({
    headers: { 'Content-Type': 'application/octet-stream' },
    body: chunks(Number(params['n']), Number(request.query.get('seed') ?? 0)),
  }))
  router.add('/drip', drip)
  router.add('/slow', slow)
  router.add('/endless', endless)
  router.add('/reset', (exchange) => broken(exchange, 'reset'))
  router.add('/short', (exchange) => broken(exchange, 'end'))
  router.add('/hangup', ({ request }) => ({ empty: true, cut: request.query.has('reset') ? 'reset' : 'end' }))
  router.add('/undelimited', undelimited)
  router.add('/overlong', () => ({ raw: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0123456789' }))
  router.add('/early-hints', earlyHints)
  router.add('/trailers', trailers)
}

/** n JSON lines, chunked. */
function stream({ request, params, origin }: OriginExchange): OriginAnswer {
  async function* lines(): AsyncGenerator<Uint8Array> {
    for (let id = 0; id < Number(params['n']); id++) {
      yield Buffer.from(`${JSON.stringify({ id, url: origin + request.url })}\n`)
    }
  }
  return { headers: { 'Content-Type': 'application/json' }, body: lines() }
}

/** `?numbytes=10&duration=2&delay=0&code=200`: so many bytes with Content-Length, spread over `duration` seconds. */
async function drip({ request, wait }: OriginExchange): Promise<OriginAnswer> {
  const { query } = request
  const total = Number(query.get('numbytes') ?? 10)
  const pause = (Number(query.get('duration') ?? 2) * 1000) / Math.max(total, 1)
  if (!Number.isInteger(total) || total < 0) return bad('numbytes must be a whole number')
  await wait(Number(query.get('delay') ?? 0) * 1000)
  async function* drops(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < total; i++) {
      if (i > 0) await wait(pause)
      yield Buffer.from('*')
    }
  }
  return {
    status: Number(query.get('code') ?? 200),
    headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(total) },
    body: drops(),
  }
}

/**
 * `?headers=1`: so many seconds before the head; `?body=1`: between head and body;
 * `?trickle=50`: the head byte by byte, so many ms apart (slow loris).
 */
async function slow(exchange: OriginExchange): Promise<OriginAnswer | void> {
  const { request, response, wait } = exchange
  const seconds = (name: string): number => Number(request.query.get(name) ?? 0) * 1000
  await wait(seconds('headers'))
  const trickle = request.query.get('trickle')
  if (trickle !== null) {
    const { socket } = response
    if (socket === null) return
    for (const byte of 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n') {
      socket.write(byte, 'latin1')
      await wait(Number(trickle))
    }
    return { raw: 'Content-Length: 5\r\nConnection: close\r\n\r\nslow\n' }
  }
  async function* body(): AsyncGenerator<Uint8Array> {
    await wait(seconds('body'))
    yield Buffer.from('slow\n')
  }
  return { headers: { 'Content-Type': 'text/plain', 'Content-Length': '5' }, body: body() }
}

/** A body that never ends, as fast as it is read; `?interval=100` sends a server-sent event every so many ms instead. */
function endless({ request, wait }: OriginExchange): OriginAnswer {
  const interval = request.query.get('interval')
  const chunk = Buffer.alloc(16_384, 'endless ')
  async function* forever(): AsyncGenerator<Uint8Array> {
    for (let id = 0; ; id++) {
      if (interval === null) {
        yield chunk
      } else {
        yield Buffer.from(`id: ${id}\ndata: tick\n\n`)
        await wait(Number(interval))
      }
    }
  }
  const type = interval === null ? 'application/octet-stream' : 'text/event-stream'
  return {
    headers: { 'Content-Type': type, 'Cache-Control': request.query.get('cc') ?? 'max-age=60' },
    body: forever(),
  }
}

/**
 * `?bytes=5&length=10`: so many bytes of a body that was announced longer, then RST (/reset) or FIN (/short);
 * `?chunked`: a chunked body without its last chunk. Fresh for a minute, were it whole.
 */
function broken({ request }: OriginExchange, cut: 'reset' | 'end'): OriginAnswer {
  const bytes = Number(request.query.get('bytes') ?? 5)
  const length = request.query.get('length') ?? String(bytes * 2)
  const headers: Record<string, string> = {
    'Content-Type': 'text/plain',
    'Cache-Control': 'max-age=60',
    ETag: '"whole"',
  }
  if (!request.query.has('chunked')) headers['Content-Length'] = length
  return { headers, body: Buffer.alloc(bytes, '0123456789'), cut }
}

/** Neither Content-Length nor chunks: the end of the connection ends the body (HTTP/1.0 style). */
function undelimited({ request }: OriginExchange): OriginAnswer {
  const cut = request.query.has('reset') ? 'reset' : 'end'
  return { raw: 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nConnection: close\r\n\r\nundelimited\n', cut }
}

/** 103 with a Link, then 200; only the 200 may ever be seen or stored as the response (RFC 8297). */
async function earlyHints({ response }: OriginExchange): Promise<OriginAnswer> {
  await new Promise<void>((resolve) => response.writeEarlyHints({ link: '</style.css>; rel=preload' }, resolve))
  return { headers: { 'Cache-Control': 'max-age=60', 'Content-Type': 'text/plain' }, body: 'after early hints\n' }
}

function trailers(): OriginAnswer {
  return {
    headers: { 'Cache-Control': 'max-age=60', 'Content-Type': 'text/plain' },
    body: 'with trailers\n',
    trailers: { 'x-trailer': 'in the trailer', 'x-checksum': 'abc' },
  }
}

async function* chunks(size: number, seed: number): AsyncGenerator<Uint8Array> {
  yield* bodyBytes(size, seed)
}
