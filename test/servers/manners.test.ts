/** What a handler of node:http does is what it does without a cache: what it finds, what fails, and what its visitor gets (CHECKLIST 250, 256). */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { finished, pipeline, Readable } from 'node:stream'
import express from 'express'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { EntryHead } from '../../src/engine/ports.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache, type ServerCacheOptions } from '../../src/servers/node.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { until } from '../engine/support.ts'
import { codeOf, later, sideBySide, type Doing } from './side-by-side.ts'
import { listen, type Running } from './support.ts'

const running: Running[] = []
afterEach(async () => {
  for (const each of running.splice(0)) await each.close()
})

const things: Readonly<Record<string, Doing>> = {
  'chunks that are none': (response, log) => {
    for (const chunk of [123, {}, null, undefined, new ArrayBuffer(3), new DataView(new ArrayBuffer(3))])
      log(codeOf(() => response.write(chunk as never)))
    log(codeOf(() => response.end({} as never)))
    response.end('page')
  },
  'an end with nothing': (response, log) => {
    log(codeOf(() => response.end(null as never)))
  },
  'a head that node refuses': (response, log) => {
    log(codeOf(() => response.writeHead(99)))
    log(codeOf(() => response.writeHead('no' as never)))
    log(codeOf(() => response.writeHead(200, { 'x-a': 'a\nb' })))
    log(codeOf(() => response.writeHead(200, 'a\nb')))
    response.statusMessage = 'Well'
    response.end('page')
  },
  'a status as text': (response) => void response.writeHead('202' as never).end('page'),
  'a head after the head': (response, log) => {
    response.writeHead(200)
    log(codeOf(() => response.writeHead(201)))
    log(codeOf(() => response.setHeader('x-late', '1')))
    response.end('page')
  },
  'fields after the end': (response, log) => {
    response.setHeader('x-a', 'b')
    response.end('page')
    log(response.getHeader('x-a'))
    log(codeOf(() => response.setHeader('x-late', '1')))
    log(codeOf(() => response.appendHeader('x-late', '1')))
    log(codeOf(() => response.removeHeader('x-a')))
    log(codeOf(() => response.writeHead(500)))
  },
  'writing after the end': async (response, log) => {
    response.on('error', (error) => log('error', (error as { code?: unknown }).code))
    response.end('page')
    log(response.write('more', (error) => log('written', (error as { code?: unknown } | null)?.code)))
    await later()
  },
  'ending twice': async (response, log) => {
    response.end('page', () => log('first', response.writableFinished))
    response.end(() => log('second'))
    await later()
  },
  'what it is told of its state': async (response, log) => {
    const state = (): void => {
      const { headersSent, writableEnded, finished: over, writable, destroyed } = response
      log(headersSent, writableEnded, over, writable, destroyed)
    }
    state()
    response.write('pa')
    state()
    response.end('ge')
    state()
    finished(response, (error) => log('finished', String(error)))
    await later()
    state()
    // Not at once: when the last of it has left differs between versions of Node.
    log(response.writableFinished)
  },
  'a length that is to be right': (response, log) => {
    response.strictContentLength = true
    response.setHeader('content-length', 4)
    response.write('pa')
    log(codeOf(() => response.write('ges')))
    response.end('ge')
  },
  'letting go of what it has answered': (response) => {
    response.writeHead(413)
    response.end('too much')
    response.destroy()
  },
  'hints and corks': async (response, log) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.writeProcessing()
    await later()
    response.cork()
    response.write('pa')
    log(response.writableCorked)
    response.uncork()
    response.end('ge')
  },
  trailers: (response) => {
    response.writeHead(200, { trailer: 'x-t' })
    response.write('page')
    response.addTrailers({ 'x-t': '1' })
    response.end()
  },
  'a stream': async (response, log) => {
    pipeline(Readable.from(['pa', 'ge']), response, (error) => log('piped', String(error)))
    await later()
  },
}

describe('250, 256: with a cache as without one', () => {
  const cases = Object.keys(things).flatMap((name) =>
    (name === 'trailers' ? ['GET'] : ['GET', 'HEAD', 'POST']).map((method) => [name, method] as const),
  )

  it.each(cases)('%s, %s', async (name, method) => {
    const outcomes = await sideBySide(things[name] as Doing, method)
    expect(outcomes[0].answer).not.toBe('')
    expect(outcomes[1]).toEqual(outcomes[0])
    expect(outcomes[2]).toEqual(outcomes[0])
  })

  it('an answer that cannot be sent is a 500 with nothing of it, and kept by nobody', async () => {
    const errors: unknown[] = []
    const cache = responseCache({ ttl: 60, onError: (error) => errors.push((error as { code?: unknown }).code) })
    const server = await listen(
      cache.wrap((_request, response) => {
        response.statusMessage = 'a\nb'
        response.setHeader('Content-Length', 4)
        response.end('page')
      }) as never,
    )
    running.push(server)
    const { status, phrase, text } = await server.get('/')
    expect([status, phrase, text]).toEqual([500, 'Internal Server Error', ''])
    expect([errors, cache.stats()?.stored]).toEqual([['ERR_INVALID_CHAR'], 0])
  })
})

describe('250: fields', () => {
  it('what those behind the cache set when the head is made (on-headers) is kept, and heeded', async () => {
    const app = express()
    let runs = 0
    app.use(responseCache({ ttl: 60 }))
    app.use((request, response, next) => {
      const { writeHead } = response
      response.writeHead = ((...args: Parameters<typeof writeHead>) => {
        response.setHeader('X-Late', `run ${++runs}`)
        if (request.path === '/own') response.setHeader('Cache-Control', 'private')
        return writeHead.apply(response, args)
      }) as typeof writeHead
      next()
    })
    app.get(['/', '/own'], (_request, response) => void response.send('page'))
    const server = await listen(app)
    running.push(server)
    const late = async (path: string, headers = {}): Promise<unknown> =>
      (await server.get(path, headers)).headers['x-late']
    expect([await late('/'), await late('/'), await late('/', { 'if-none-match': '*' })]).toEqual([
      'run 1',
      'run 1',
      'run 1',
    ])
    expect([await late('/own'), await late('/own')]).toEqual(['run 2', 'run 3'])
    // Of a condition on a miss, too.
    expect(await late('/?x', { 'if-none-match': '*' })).toBe('run 4')
  })

  it('uniqueHeaders of the server make one line of several, of what is stored as of what is made', async () => {
    const handler = responseCache({ ttl: 60 }).wrap((_request, response) => {
      response.setHeader('ETag', '"v1"')
      response.setHeader('Link', ['<a>', '<b>'])
      response.setHeader('X-Other', ['1', '2'])
      response.end('page')
    })
    const server = await listen(createServer({ uniqueHeaders: ['link'] }, handler as never))
    running.push(server)
    const lines = async (headers: Record<string, string> = {}): Promise<unknown> => {
      const { status, raw } = await server.get('/', headers)
      const values = (name: string): string[] =>
        raw.filter((_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === name)
      return [status, values('link'), values('x-other')]
    }
    const expected = [['<a>; <b>'], ['1', '2']]
    expect(await lines()).toEqual([200, ...expected])
    expect(await lines()).toEqual([200, ...expected])
    expect(await lines({ range: 'bytes=0-1' })).toEqual([206, ...expected])
    expect(await lines({ 'if-none-match': '"v1"' })).toEqual([304, ...expected])
  })
})

/** Asks, reads the beginning of the answer, and leaves. */
async function glance(server: Running, path = '/'): Promise<void> {
  const socket: Socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${new URL(server.url).port}\r\n\r\n`)
  await once(socket, 'data')
  socket.destroy()
}

describe('A11: a visitor who leaves in the middle', () => {
  async function serve(
    handler: (response: ServerResponse) => unknown,
    options: ServerCacheOptions = {},
  ): Promise<{ server: Running; stored(): number | undefined }> {
    const cache = responseCache({ ttl: 60, clock: new FakeClock(), onError: () => undefined, ...options })
    const server = await listen(cache.wrap((_request, response) => handler(response)) as never)
    running.push(server)
    return { server, stored: () => cache.stats()?.stored }
  }

  it('a handler that goes on, and ends, has given an answer: it is stored, and who waits for it gets it', async () => {
    let runs = 0
    const { server, stored } = await serve(async (response) => {
      runs++
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write('first, ')
      while (!response.destroyed) await later()
      const given = [response.write('second, '), response.headersSent, response.writableEnded]
      response.end(JSON.stringify(given))
    })
    const [, answer] = await Promise.all([glance(server), later().then(() => server.get('/'))])
    expect([answer.text, runs, stored()]).toEqual(['first, second, [true,true,false]', 1, 1])
  })

  it('one that waits for room goes on, too', async () => {
    const piece = Buffer.alloc(256 * 1024, 'a')
    let runs = 0
    const { server, stored } = await serve(async (response) => {
      runs++
      response.writeHead(200, { 'content-type': 'text/plain' })
      for (let n = 0; n < 20; n++) {
        if (!response.write(piece)) await once(response, 'drain')
        await new Promise((resolve) => setImmediate(resolve))
      }
      response.end('end')
    })
    await glance(server)
    await until(() => stored() === 1)
    const { body, headers } = await server.get('/')
    expect([body.length, headers['age'], runs]).toEqual([20 * piece.length + 3, '0', 1])
  })

  it('one that has stopped leaves nothing behind, and others wait for it no longer than two seconds', async () => {
    let runs = 0
    const first: ServerResponse[] = []
    const { server, stored } = await serve((response) => {
      first.push(response)
      if (++runs === 1) response.writeHead(200).write('first, ')
      else response.end('whole')
    })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      await glance(server)
      const waiting = server.get('/')
      while (first[0]?.destroyed !== true) await new Promise((resolve) => setImmediate(resolve))
      vi.advanceTimersByTime(2000)
      expect([(await waiting).text, runs]).toEqual(['whole', 2])
    } finally {
      vi.useRealTimers()
    }
    await until(() => stored() === 1)
  })

  it.each<readonly [string, (response: ServerResponse) => unknown]>([
    [
      'listens for that',
      async (response) => {
        response.writeHead(200).write('first, ')
        await once(response.req, 'close')
        response.end('no more')
      },
    ],
    [
      'is piped from a stream',
      (response) => {
        const source = new Readable({ read: () => undefined })
        source.push('first, ')
        source.pipe(response)
        response.once('close', () => source.push(null))
      },
    ],
    [
      'fails',
      async (response) => {
        response.writeHead(200).write('first, ')
        while (!response.destroyed) await later()
        throw new Error('nothing more can be made')
      },
    ],
  ])('one that %s leaves nothing behind', async (what, handler) => {
    let runs = 0
    const { server, stored } = await serve((response) => (++runs === 1 ? handler(response) : response.end('whole')))
    await glance(server)
    await later()
    expect(stored()).toBe(0)
    if (what !== 'fails') expect((await server.get('/')).text).toBe('whole')
  })
})

/** It takes what streams in bit by bit. */
class Slow extends MemoryStore {
  taken = 0
  override write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): ReturnType<MemoryStore['write']> {
    if (body instanceof Uint8Array) return super.write(head, body)
    const slowly = new TransformStream<Uint8Array, Uint8Array>({
      transform: async (chunk, controller) => {
        await new Promise((resolve) => setImmediate(resolve))
        this.taken += chunk.length
        controller.enqueue(chunk)
      },
    })
    return super.write(head, body.pipeThrough(slowly))
  }
}

it.each<readonly [string, (response: ServerResponse, piece: () => Buffer | null) => unknown]>([
  [
    'piped',
    (response, piece) => {
      new Readable({
        highWaterMark: 64 * 1024,
        read: function () {
          this.push(piece())
        },
      }).pipe(response)
    },
  ],
  [
    'written when there is room',
    async (response, piece) => {
      for (let next = piece(); next !== null; next = piece()) if (!response.write(next)) await once(response, 'drain')
      response.end()
    },
  ],
  [
    'written when what came before was taken',
    async (response, piece) => {
      for (let next = piece(); next !== null; next = piece())
        await new Promise((resolve) => response.write(next, resolve))
      response.end()
    },
  ],
])('17: a stream whose visitor has it already is made no faster than the store takes it: %s', async (_what, give) => {
  const store = new Slow()
  const [length, all] = [64 * 1024, 8 * 1024 * 1024]
  let [given, mostAhead] = [0, 0]
  const handler = responseCache({ ttl: 60, store, storeTimeout: '1m' }).wrap((_request, response) => {
    response.writeHead(200, { etag: '"v1"' })
    return give(response, () => {
      given += length
      mostAhead = Math.max(mostAhead, given - store.taken)
      return given > all ? null : Buffer.alloc(length)
    })
  })
  const server = await listen(handler as never)
  running.push(server)
  expect((await server.get('/', { 'if-none-match': '"v1"' })).status).toBe(304)
  await until(() => store.taken === all)
  expect((await server.get('/')).body.length).toBe(all)
  expect(mostAhead).toBeLessThan(4 * 1024 * 1024)
})
