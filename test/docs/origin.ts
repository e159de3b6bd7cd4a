/**
 * The site that every example host is, at run time: it answers any path with JSON that has an ETag and a lifetime of a
 * minute. The first segment of the path is the host the example named. Knows these paths by themselves:
 * `/slow...` takes 50 ms, `/status/503` answers that, `/live...` is `no-store`; a list for what is called by a plural.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

function thing(id: number): object {
  return { id, name: `thing ${id}`, email: `${id}@example.com`, price: 10 * id, rate: 1.25, tags: ['a', 'b'] }
}

/** The resource at a path: a list where its last segment is a plural, else one thing. */
export function contentOf(path: string): object {
  const last = path.split('?')[0]?.split('/').findLast(Boolean) ?? ''
  if (/^[a-z-]+s$/.test(last)) return [thing(1), thing(2), thing(3)]
  return { path, ...thing(Number(/\d+/.exec(last)?.[0] ?? 1)) }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').replace(/^\/[^/?]*/, '') || '/'
  for await (const _ of request);
  if (path.startsWith('/slow')) await new Promise((resolve) => setTimeout(resolve, 50))
  const body = JSON.stringify(contentOf(path))
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`
  const status = Number(/^\/status\/(?<code>\d{3})/.exec(path)?.groups?.['code'] ?? 200)
  response.setHeader('Cache-Control', path.startsWith('/live') ? 'no-store' : 'max-age=60')
  response.setHeader('ETag', etag)
  if (status === 200 && request.headers['if-none-match']?.includes(etag)) return void response.writeHead(304).end()
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(request.method === 'HEAD' ? undefined : body)
}

/** Starts it on a free port of 127.0.0.1. */
export async function startSite(): Promise<{ readonly url: string; readonly close: () => void }> {
  const server: Server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
