/** The connection against scripted servers: what a real memcached does only when it is broken. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import { MemcachedClient } from './memcached-client.ts'
import { DownError, MemcachedConnection } from './memcached-connection.ts'
import { VERSION } from './memcached-protocol.ts'

type Answer = (line: string, socket: Socket) => string | null

class Fake {
  readonly server: Server
  readonly sockets = new Set<Socket>()
  accepted = 0
  answer: Answer = () => 'END\r\n'

  constructor() {
    this.server = createServer((socket) => {
      this.accepted++
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => undefined)
      socket.on('data', (bytes) => {
        const lines = bytes.toString('latin1').split('\r\n').slice(0, -1)
        const answers = lines.map((line) => this.answer(line, socket))
        socket.write(answers.filter((answer) => answer !== null).join(''), 'latin1')
      })
    })
  }
  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.server.listen(0, '127.0.0.1', () => resolve((this.server.address() as AddressInfo).port))
    })
  }
  end(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }
}

const open: Fake[] = []
afterEach(() => {
  for (const fake of open.splice(0)) fake.end()
})

async function fakeWith(answer: Answer, timeout = 5000): Promise<{ fake: Fake; client: MemcachedClient }> {
  const fake = new Fake()
  fake.answer = answer
  open.push(fake)
  return { fake, client: new MemcachedClient(`127.0.0.1:${await fake.listen()}`, { timeout }) }
}

const value = (key: string, text: string): string => `VALUE ${key} 0 ${text.length}\r\n${text}\r\nEND\r\n`
/** To each key of a `get` a value that names it. */
const echo: Answer = (line) => {
  const values = line
    .split(' ')
    .slice(1)
    .map((key) => value(key, `of get ${key}`).replace('END\r\n', ''))
  return `${values.join('')}END\r\n`
}
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

/** Waits until the pause after a failure is over. */
async function revived<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof DownError)) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

describe('a connection', () => {
  it('pipelines: a hundred commands, one connection, each its own answer, some of one command', async () => {
    const lines: string[] = []
    const { fake, client } = await fakeWith((line, socket) => {
      lines.push(line)
      return echo(line, socket)
    })
    const keys = Array.from({ length: 100 }, (_, n) => `k${n}`)
    const values = await Promise.all(keys.map((key) => client.get(key)))
    expect(values.map(textOf)).toEqual(keys.map((key) => `of get ${key}`))
    expect([fake.accepted, lines.length, lines.join(' ').replaceAll('get ', '')]).toEqual([1, 7, keys.join(' ')])
    await client.close()
  })

  it('B39, B40: garbage in the answer to some gets fails them all and those behind them', async () => {
    const { fake, client } = await fakeWith(
      (line, socket) => echo(line, socket)?.replace('of get b', 'of get b and more') ?? '',
    )
    const results = await Promise.allSettled(['a', 'b', 'c'].map((key) => client.get(key)))
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ERR_STORE_FAILED' } })
    fake.answer = echo
    expect(textOf(await revived(() => client.get('b')))).toBe('of get b')
    await client.close()
  })

  it('what is asked in one turn goes out as one packet, values in their places', async () => {
    const packets: string[] = []
    const { fake, client } = await fakeWith((line) => {
      if (line.startsWith('get')) return 'END\r\n'
      return line.startsWith('set') ? 'STORED\r\n' : null
    })
    fake.server.on('connection', (socket) => {
      socket.prependListener('data', (bytes) => packets.push(bytes.toString('latin1')))
    })
    const asked = [client.get('a'), client.set('b', Buffer.from('12'), 5), client.set('c', Buffer.from(''), 5)]
    // Promises in between are of the same turn.
    await Promise.resolve()
    await Promise.all([...asked, client.get('d')])
    expect(packets).toEqual(['get a\r\nset b 0 5 2\r\n12\r\nset c 0 5 0\r\n\r\nget d\r\n'])
    await client.close()
  })

  it.each([value('k2', 'forged'), 'VALUE k2 0 6\r\nfor'])(
    'B39: what comes before a command was sent is no answer to it, nor a part of one: %j',
    async (forged) => {
      const { fake, client } = await fakeWith((line, socket) => {
        if (line === 'get a') return null
        return line === 'get k2' ? value('k2', 'forged').slice(forged.length) : echo(line, socket)
      })
      // While one is under way, a timer comes before what sockets brought, and that before what is sent; a busy system may bring it later.
      const tried = async (): Promise<unknown> => {
        await revived(() => client.get('k'))
        const first = client.get('a')
        const second = new Promise((resolve) => {
          setTimeout(() => {
            for (const socket of fake.sockets) socket.write(value('a', 'a') + forged)
            client
              .get('k2')
              .then(textOf, (error: unknown) => error)
              .then(resolve)
          }, 5)
        })
        await Promise.allSettled([first])
        return second
      }
      let found: unknown
      for (let tries = 0; tries < 20 && !(found instanceof StoreError); tries++) found = await tried()
      expect(found).toMatchObject({ code: 'ERR_STORE_FAILED' })
      fake.answer = echo
      expect(textOf(await revived(() => client.get('k2')))).toBe('of get k2')
      await client.close()
    },
  )

  it.each([
    ['an answer of no memcached', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['ERROR', 'ERROR\r\n'],
    ['the value of another key', value('other', 'secret')],
    ['the answer to another command', 'STORED\r\n'],
    ['a value without an end', 'VALUE k 0 1\r\nxx\r\nEND\r\n'],
  ])('B39, B40: %s fails the command and all behind it, and ends the connection', async (_, garbage) => {
    const { fake, client } = await fakeWith(() => garbage)
    const results = await Promise.allSettled([client.get('k'), client.get('k2')])
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ERR_STORE_FAILED' } })
    }
    fake.answer = echo
    expect(textOf(await revived(() => client.get('k')))).toBe('of get k')
    expect(fake.accepted).toBe(2)
    await client.close()
  })

  it('B39: extra bytes after a value end the connection, and never become the next answer', async () => {
    const { fake, client } = await fakeWith((line, socket) => `${echo(line, socket)}${value('k2', 'forged')}`)
    expect(textOf(await client.get('k'))).toBe('of get k')
    await expect(client.get('k2')).rejects.toThrow(/down|no memcached reply/)
    fake.answer = echo
    expect(textOf(await revived(() => client.get('k2')))).toBe('of get k2')
    await client.close()
  })

  it('B29, B38: a server that says nothing costs the timeout; a late answer is nobody\u2019s', async () => {
    const held: Socket[] = []
    const { fake, client } = await fakeWith((_, socket) => (held.push(socket), null), 50)
    const results = await Promise.allSettled([client.get('a'), client.get('b')])
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
      'ERR_STORE_TIMEOUT',
      'ERR_STORE_TIMEOUT',
    ])
    fake.answer = echo
    for (const socket of held) socket.write(value('a', 'late'))
    expect(textOf(await revived(() => client.get('b')))).toBe('of get b')
    await client.close()
  })

  it('B37: after a failure, commands fail at once for a pause, which doubles; an answer ends the row', async () => {
    const fake = new Fake()
    open.push(fake)
    let now = 0
    const server = { name: 'fake', target: { host: '127.0.0.1', port: await fake.listen() } }
    const connection = new MemcachedConnection(server, { timeout: 5000, credentials: null, tls: null }, () => now)
    const attempt = (): Promise<string> =>
      connection
        .send(VERSION, (reply) => reply)
        .then(
          () => 'answered',
          (error: unknown) => (error instanceof DownError ? 'left alone' : 'failed'),
        )
    const story: string[] = []
    fake.answer = (_, socket) => (socket.destroy(), null)
    for (const wait of [0, 99, 1, 199, 1, 399, 1]) {
      now += wait
      story.push(await attempt())
    }
    fake.answer = () => 'VERSION 1\r\n'
    now += 5000
    story.push(await attempt())
    fake.answer = (_, socket) => (socket.destroy(), null)
    for (const wait of [0, 99, 1]) {
      now += wait
      story.push(await attempt())
    }
    const row = ['failed', 'left alone', 'failed', 'left alone', 'failed', 'left alone', 'failed']
    expect(story).toEqual([...row, 'answered', 'failed', 'left alone', 'failed'])
    expect(fake.accepted).toBe(6)
    await connection.close()
  })

  it('an idle connection that the server ends is no failure: the next command makes another', async () => {
    const { fake, client } = await fakeWith(echo)
    await client.get('k')
    for (const socket of fake.sockets) socket.end()
    await expect.poll(() => fake.sockets.size).toBe(0)
    expect(textOf(await client.get('k'))).toBe('of get k')
    expect(fake.accepted).toBe(2)
    await client.close()
  })

  it.each([
    ['out of memory storing object', 'ERR_STORE_FULL'],
    ['Out of memory during read', 'ERR_STORE_FULL'],
    ['object too large for cache', 'ERR_STORE_FULL'],
    ['temporary failure', 'ERR_STORE_FAILED'],
  ])('B45: SERVER_ERROR %s is %s, and the connection goes on', async (message, code) => {
    const { fake, client } = await fakeWith((line, socket) => {
      if (line.startsWith('set')) return `SERVER_ERROR ${message}\r\n`
      return line.startsWith('get') ? echo(line, socket) : null
    })
    await expect(client.set('k', new Uint8Array(1), 0)).rejects.toMatchObject({ code })
    expect(textOf(await client.get('k'))).toBe('of get k')
    expect(fake.accepted).toBe(1)
    await client.close()
  })

  it('a server without CAS (-C) is found out: versions that are all 0 protect nothing', async () => {
    const { client } = await fakeWith((line) => `VALUE ${line.split(' ')[1]} 0 1 0\r\nx\r\nEND\r\n`)
    await expect(client.gets('k')).rejects.toThrow('without CAS')
    await client.close()
  })

  it('close waits for what was sent, refuses what comes after, and may be called twice', async () => {
    const { fake, client } = await fakeWith(echo)
    const last = client.get('k')
    await Promise.all([client.close(), client.close()])
    expect(textOf(await last)).toBe('of get k')
    await expect(client.get('k')).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    await expect.poll(() => fake.sockets.size).toBe(0)
  })

  it('136: a key that could be a command is refused before anything is sent', async () => {
    const { fake, client } = await fakeWith(echo)
    for (const key of ['', 'a b', 'a\r\nflush_all', 'a\0', 'é', 'k'.repeat(251)]) {
      await expect(client.get(key)).rejects.toMatchObject({ code: 'ERR_KEY' })
    }
    expect(fake.accepted).toBe(0)
    await client.close()
  })
})

describe('many keys', () => {
  const many: Answer = (line) => {
    const [, ...keys] = line.split(' ')
    return `${keys.flatMap((key) => (key.startsWith('no') ? [] : [`VALUE ${key} 0 3\r\nof${key.at(-1)}\r\n`])).join('')}END\r\n`
  }

  it('are one command a hundred, each named once, and answered in order', async () => {
    const lines: string[] = []
    const { client } = await fakeWith((line, socket) => {
      lines.push(line)
      return many(line, socket)
    })
    const keys = Array.from({ length: 101 }, (_, n) => `k${n}`)
    const found = await client.getMany([...keys, 'no1', 'k0'])
    expect(lines.map((line) => line.split(' ').length - 1)).toEqual([100, 2])
    expect([found.length, found[100], found[101], found[102]]).toEqual([
      103,
      new TextEncoder().encode('of0'),
      undefined,
      new TextEncoder().encode('of0'),
    ])
    await client.close()
  })

  it('B40: a value that was not asked for, or more than were, ends the connection', async () => {
    for (const wrong of ['VALUE x 0 1\r\na\r\nEND\r\n', `${'VALUE a 0 1\r\na\r\n'.repeat(3)}END\r\n`]) {
      const { client } = await fakeWith(() => wrong)
      const found = await client.getMany(['a', 'b'])
      expect(found.map((each) => (each instanceof StoreError ? each.code : each))).toEqual([
        'ERR_STORE_FAILED',
        'ERR_STORE_FAILED',
      ])
      await client.close()
    }
  })

  it('a server that fails costs its own keys only; while it is known to be down they are misses', async () => {
    const servers: string[] = []
    for (const answer of [many, (() => 'SERVER_ERROR out of order\r\n') as Answer]) {
      const fake = new Fake()
      fake.answer = answer
      open.push(fake)
      servers.push(`127.0.0.1:${await fake.listen()}`)
    }
    const client = new MemcachedClient(servers)
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
    const codes = async (): Promise<unknown[]> =>
      (await client.getMany(keys)).map((each) => (each instanceof StoreError ? each.constructor.name : typeof each))
    const expected = (failure: string): string[] =>
      keys.map((key) => (client.serverOf(key) === servers[0] ? 'object' : failure))
    expect(await codes()).toEqual(expected('StoreError'))
    open.at(-1)?.end()
    await client.get(keys.find((key) => client.serverOf(key) === servers[1]) ?? '').catch(() => undefined)
    expect(await codes()).toEqual(expected('DownError'))
    await client.close()
  })

  it('row 136: no key gets onto a command line that is none', async () => {
    const { client, fake } = await fakeWith(many)
    await expect(client.getMany(['a', 'b\r\nflush_all'])).rejects.toThrow('printable')
    expect(fake.accepted).toBe(0)
    await client.close()
  })
})
