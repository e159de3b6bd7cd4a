/** What a visitor or a handler may do to a cache in front of a server (RELIABILITY groups D and G). */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache, type ServerCacheOptions } from '../../src/servers/node.ts'
import { listen, type Running } from './support.ts'

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

async function serve(handler: RequestListener, options: ServerCacheOptions = {}): Promise<Running> {
  const server = await listen(
    responseCache({ ttl: 60, clock: new FakeClock(), ...options }).wrap(handler) as RequestListener,
  )
  open.push(server)
  return server
}

/** Sends bytes as they are; what comes until the server closes, or nothing more comes for a while. */
async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => (answer += data.toString('latin1')))
  socket.write(text)
  await Promise.race([once(socket, 'close'), sleep(300)])
  socket.destroy()
  return answer
}

describe('keys', () => {
  it.each(['/echo/../index.html', '/echo/%2e%2e/index.html', '/echo\\..\\index.html', '/index.html#x'])(
    '102: what the URL parser would rewrite is not kept under another name: %s',
    async (target) => {
      const server = await serve((request, response) => response.end(`handler of ${request.url}`))
      await raw(
        server.url,
        `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${new URL(server.url).port}\r\nConnection: close\r\n\r\n`,
      )
      expect((await server.get('/index.html')).text).toBe('handler of /index.html')
    },
  )

  it.each(['example.com/foo', 'example.com/x?', 'ex%61mple.com', 'user@example.com', ''])(
    '104: a Host that is none is not kept: %s',
    async (host) => {
      let runs = 0
      const server = await serve((_request, response) => response.end(`run ${++runs}`))
      for (let n = 0; n < 2; n++)
        await raw(server.url, `GET /bar HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
      expect((await server.get('/foo/bar', { host: 'example.com' })).text).toMatch(/run [13]/)
    },
  )

  it('106: a GET with a body is the handler\u2019s own affair', async () => {
    const server = await serve(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      response.end(`body ${body}`)
    })
    const { port } = new URL(server.url)
    const fat = `GET /s HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nfat`
    expect(await raw(server.url, fat)).toContain('body fat')
    expect((await server.get('/s')).text).toBe('body ')
  })
})

describe('handlers', () => {
  it('an error after the answer does not change the answer that is held', async () => {
    const app = express()
    app.use(responseCache({ ttl: 60 }))
    app.get('/', (_request, response) => {
      response.json({ long: 'x'.repeat(500) })
      throw new Error('too late')
    })
    app.use(((error: Error, _request: express.Request, response: express.Response, next: express.NextFunction) => {
      if (response.headersSent) next(error)
      else response.status(500).json({ error: error.message })
    }) as express.ErrorRequestHandler)
    const server = await listen(app)
    open.push(server)
    const answer = await server.get('/').catch((error: unknown) => error)
    // As without a cache: the whole answer, or a connection that Express has cut; never a part of both.
    if (!(answer instanceof Error)) expect((answer as { status: number }).status).toBe(200)
  })

  it('a field that no response may have is an error of that answer, not of the process', async () => {
    const errors: unknown[] = []
    const server = await serve(
      (_request, response) => {
        response.writeHead(200, { 'content-disposition': 'attachment; filename="\u65e5\u672c.txt"' })
        response.end('x')
      },
      { onError: (error) => errors.push(error) },
    )
    expect((await server.get('/')).status).toBe(500)
    expect(errors.length).toBeGreaterThan(0)
    expect((await server.get('/')).status).toBe(500)
  })

  it('a 304 carries the handler\u2019s own Cache-Control, not our guard\u2019s', async () => {
    const server = await serve((_request, response) => response.setHeader('ETag', '"v1"').end('x'), {
      ttl: 0,
    })
    const answer = await server.get('/', { 'if-none-match': '"v1"' })
    expect([answer.status, answer.headers['cache-control']]).toEqual([304, undefined])
  })

  it('flushHeaders reaches the visitor before the first byte of the body', async () => {
    const server = createServer()
    const cache = responseCache()
    server.on(
      'request',
      cache.wrap((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.flushHeaders()
      }),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await raw(`http://127.0.0.1:${port}`, 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')).toContain('200 OK')
    server.closeAllConnections()
    server.close()
  })

  it('D12, D62: visitors who give up are no failures: the rest still share one run', async () => {
    let runs = 0
    const server = await serve(async (_request, response) => {
      runs++
      await sleep(250)
      response.end('page')
    })
    const { port } = new URL(server.url)
    for (let n = 0; n < 3; n++) {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
      setTimeout(() => socket.destroy(), 60 + 40 * n)
      await sleep(10)
    }
    const answers = await Promise.all(Array.from({ length: 20 }, () => server.get('/')))
    expect(answers.every(({ text }) => text === 'page')).toBe(true)
    expect(runs).toBeLessThanOrEqual(4)
  })
})
