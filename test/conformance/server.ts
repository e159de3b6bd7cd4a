/** The suite's own origin, from its own handlers: on a free port, without the pid file and the file server of its server.mjs. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import handleConfig from 'http-cache-tests/server/handle-config.mjs'
import handleState from 'http-cache-tests/server/handle-state.mjs'
import handleTest from 'http-cache-tests/server/handle-test.mjs'

type Handler = (path: string[], request: IncomingMessage, response: ServerResponse) => void

const HANDLERS: Readonly<Record<string, Handler>> = { config: handleConfig, state: handleState, test: handleTest }

export interface SuiteServer {
  /** Without a trailing slash. */
  readonly url: string
  close(): Promise<void>
}

export async function startSuiteServer(): Promise<SuiteServer> {
  const server = createServer((request, response) => {
    const [, dispatch = '', ...path] = new URL(request.url ?? '/', 'http://localhost').pathname.split('/')
    const handler = HANDLERS[dispatch]
    if (handler === undefined) response.writeHead(404).end()
    else handler(path, request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    },
  }
}
