/**
 * The origin, as a process of its own: what it does costs the contenders no time on their thread.
 *
 * `/<who>/<kind>/<bytes>/<anything>?delay=<ms>`, kind: text, json (about so many bytes), large (streamed, in constant memory).
 * Everything may be cached for an hour and has an ETag. `/count?prefix=/who/` tells how many requests it has had.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { bodyFor } from './lib/bodies.ts'

const counts = new Map<string, number>()
// Incompressible within the window of a compressor, so that a cache which compresses gains nothing by the repetition.
const block = randomBytes(16 * 2 ** 20)
const SLICE = 64 * 2 ** 10

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://origin')
  if (url.pathname === '/count') {
    response.end(String(total(url.searchParams.get('prefix') ?? '/')))
    return
  }
  counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1)
  const delay = Number(url.searchParams.get('delay') ?? 0)
  if (delay > 0) await setTimeout(delay)
  const [, , kind, bytes] = url.pathname.split('/')
  const headers = { 'cache-control': 'max-age=3600', etag: `"${kind}-${bytes}"` }
  if (kind === 'large') return large(response, Number(bytes), headers)
  if (kind !== 'text' && kind !== 'json') {
    response.writeHead(404).end()
    return
  }
  const body = bodyFor(kind, Number(bytes))
  const type = kind === 'json' ? 'application/json' : 'text/plain; charset=utf-8'
  response.writeHead(200, { ...headers, 'content-type': type, 'content-length': body.byteLength }).end(body)
}

function total(prefix: string): number {
  let sum = 0
  for (const [path, count] of counts) if (path.startsWith(prefix)) sum += count
  return sum
}

async function large(response: ServerResponse, bytes: number, headers: Record<string, string>): Promise<void> {
  response.writeHead(200, { ...headers, 'content-type': 'application/octet-stream', 'content-length': bytes })
  for (let sent = 0; sent < bytes && !response.destroyed; sent += SLICE) {
    const start = sent % block.length
    const chunk = block.subarray(start, start + Math.min(SLICE, bytes - sent))
    if (!response.write(chunk)) await drained(response)
  }
  response.end()
}

/** Resolves when the response takes bytes again, or never will. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.once('drain', done).once('close', done)
  })
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
})
server.listen(0, '127.0.0.1', 2048, () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit(0))
