/** The same handler of node:http without a cache, behind one that stores, and behind one that only looks: what it finds, what its visitor gets. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { responseCache } from '../../src/servers/node.ts'

export type Log = (...said: readonly unknown[]) => void
export type Doing = (response: ServerResponse, log: Log) => unknown

/** What came of a handler. */
export interface Outcome {
  /** Every byte its visitor got, but for what caches add. */
  readonly answer: string
  readonly logged: readonly unknown[]
}

/** The code of what it throws; null: it does not. */
export function codeOf(action: () => unknown): unknown {
  try {
    action()
    return null
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

export const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

async function ask(port: number, method: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => (answer += data.toString('latin1')))
  socket.on('error', () => undefined)
  socket.write(`${method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
  await once(socket, 'close')
  // Ours, and the moment's.
  return unframed(answer.replaceAll(/^(?:date|cache-status|etag): .*\r\n/gim, ''))
}

/** How many chunks a body comes in is up to node (one or two for what was written in one turn): here it is one. */
function unframed(answer: string): string {
  const head = /transfer-encoding: chunked\r\n(?:.+\r\n)*\r\n/i.exec(answer)
  if (head === null) return answer
  const start = head.index + head[0].length
  let [body, at] = ['', start]
  for (;;) {
    const size = /^([\da-f]+)\r\n/.exec(answer.slice(at))
    const length = parseInt(size?.[1] ?? '0', 16)
    if (size === null || length === 0) break
    at += size[0].length + length + 2
    body += answer.slice(at - length - 2, at - 2)
  }
  return answer.slice(0, start) + body + answer.slice(at)
}

/** The first outcome is that without a cache. */
export async function sideBySide(doing: Doing, method: string): Promise<readonly [Outcome, ...Outcome[]]> {
  const outcome = async (options: { ttl?: number } | null): Promise<Outcome> => {
    const logged: unknown[] = []
    const over = Promise.withResolvers<void>()
    const handler = async (_request: IncomingMessage, response: ServerResponse): Promise<void> => {
      await doing(response, (...said) => logged.push(said))
      over.resolve()
    }
    const listener = options === null ? handler : responseCache(options).wrap(handler)
    const server = createServer((request, response) => void listener(request, response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const answer = await ask((server.address() as AddressInfo).port, method)
    await over.promise
    server.closeAllConnections()
    server.close()
    return { answer, logged }
  }
  return [await outcome(null), await outcome({ ttl: 60 }), await outcome({})]
}
