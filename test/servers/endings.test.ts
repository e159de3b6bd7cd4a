/** How a handler of node:http ends its answer, or breaks it off: as without a cache, and nothing in halves is kept (RELIABILITY A11, CHECKLIST 250). */
import { createServer, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import type { Store } from '../../src/engine/ports.ts'
import { responseCache } from '../../src/servers/node.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { codeOf, later, sideBySide, type Doing } from './side-by-side.ts'
import { listen, type Running } from './support.ts'

const running: Running[] = []
afterEach(async () => {
  for (const each of running.splice(0)) await each.close()
})

const things: Readonly<Record<string, Doing>> = {
  'a request let go of once it is answered': (response) => {
    response.writeHead(413).end('too much')
    response.req.destroy()
  },
  'a connection destroyed once it is answered': (response) => {
    response.writeHead(413).end('too much')
    response.req.socket.destroy()
  },
  'a connection ended once it is answered': (response) => {
    response.end('bye')
    response.req.socket.end()
  },
  'ended again in a later turn': async (response, log) => {
    response.on('error', (error) => log('error', error))
    response.end('page')
    await Promise.resolve()
    response.end('more')
    await later()
  },
  'written to in a later turn': async (response, log) => {
    response.on('error', (error) => log('error', error))
    response.end('page')
    await Promise.resolve()
    log(response.write('more'))
    await later()
  },
  'in pieces, in one turn': (response) => {
    response.write('pa')
    response.write('ge')
    response.end()
  },
  'with trailers that nothing said of': (response) => {
    response.write('page')
    response.addTrailers({ 'x-t': '1' })
    response.end()
  },
  'flushed before': (response) => {
    response.flushHeaders()
    response.end('page')
  },
  'flushed afterwards': (response) => {
    response.end('page')
    response.flushHeaders()
  },
  'a phrase and a status that come too late': (response) => {
    response.write('pa')
    response.statusMessage = 'a\nb'
    response.statusCode = 500
    response.end('ge')
  },
  'no status': (response, log) => {
    for (const status of [undefined, null]) log(codeOf(() => response.writeHead(status as never)))
    response.end('page')
  },
  'fields that say nothing': (response, log) => {
    log(codeOf(() => response.writeHead(200, { 'x-a': undefined })))
    log(codeOf(() => response.writeHead(200, ['x-a'])))
    response.end('page')
  },
  'what the head says of itself': (response, log) => {
    response.setHeader('X-A', 'before')
    response.setHeader('X-B', 'before')
    response.writeHead(404, 'Not here', { 'X-A': ['1', '2'] })
    log(response.statusCode, response.statusMessage, response.getHeader('x-a'), response.getHeader('x-b'))
    response.end('page')
  },
  'what a head of lines says of itself': (response, log) => {
    response.setHeader('X-A', 'before')
    response.writeHead(404, ['X-A', '1', 'X-A', '2'])
    log(response.statusCode, response.getHeader('x-a'))
    response.end('page')
  },
}

describe('250: ended as without a cache', () => {
  it.each(Object.keys(things).flatMap((name) => ['GET', 'POST'].map((method) => [name, method] as const)))(
    '%s, %s',
    async (name, method) => {
      const [without, ...others] = await sideBySide(things[name] as Doing, method)
      expect(without.answer).toMatch(/\r\n\r\n./s)
      for (const outcome of others) expect(outcome).toEqual(without)
    },
  )
})

/** Every read takes a while. */
function slow(): Store {
  const store = new MemoryStore()
  const { name, limits } = store
  return {
    name,
    limits,
    read: (key) => later().then(() => store.read(key)),
    write: (...given) => store.write(...given),
    update: (...given) => store.update(...given),
    delete: (keys) => store.delete(keys),
    close: () => store.close(),
  }
}

describe('A11: broken off', () => {
  const broken: Readonly<Record<string, (response: ServerResponse) => unknown>> = {
    'destroyed in the turn of its beginning': (response) => {
      response.write('first, ')
      response.destroy()
    },
    'its connection destroyed in the turn of its beginning': (response) => {
      response.write('first, ')
      response.req.socket.destroy()
    },
    'failed in the turn of its beginning': (response) => {
      response.write('first, ')
      throw new Error('no more can be made')
    },
    'destroyed and ended all the same': (response) => {
      response.write('first, ')
      response.destroy()
      response.end('no more')
    },
    'destroyed later, and ended all the same': async (response) => {
      response.write('first, ')
      await later()
      response.destroy(new Error('no more can be made'))
      await later()
      response.end('no more')
    },
    'its connection destroyed later, and ended all the same': async (response) => {
      response.write('first, ')
      await later()
      response.req.socket.destroy()
      await later()
      response.end('no more')
    },
    'its request destroyed later, and ended all the same': async (response) => {
      response.write('first, ')
      await later()
      response.req.destroy()
      response.end('no more')
    },
    'piped from what fails': async (response) => {
      const source = Readable.from(
        (function* () {
          yield 'first, '
          throw new Error('no more can be made')
        })(),
      )
      await pipeline(source, response).catch(() => undefined)
    },
  }

  it.each(Object.keys(broken).flatMap((name) => [false, true].map((isSlow) => [name, isSlow] as const)))(
    '%s: nothing is kept, and the next visitor need not wait (a slow store: %s)',
    async (name, isSlow) => {
      let runs = 0
      const cache = responseCache({ ttl: 60, onError: () => undefined, store: isSlow ? slow() : new MemoryStore() })
      const handler = cache.wrap((_request, response) =>
        ++runs === 1 ? broken[name]?.(response) : response.end('whole'),
      )
      const server = await listen(createServer(handler as never))
      running.push(server)
      await expect(server.get('/')).rejects.toThrow()
      expect((await server.get('/')).text).toBe('whole')
      expect([runs, cache.stats()?.stored]).toEqual([2, 1])
    },
  )

  it('by an error of a handler of Express that has begun', async () => {
    let runs = 0
    const app = express().set('env', 'test')
    const cache = responseCache({ ttl: 60 })
    app.use(cache)
    app.get('/', (_request, response) => {
      if (++runs > 1) return void response.send('whole')
      response.write('first, ')
      throw new Error('no more can be made')
    })
    const server = await listen(app)
    running.push(server)
    await expect(server.get('/')).rejects.toThrow()
    expect((await server.get('/')).text).toBe('whole')
  })
})
