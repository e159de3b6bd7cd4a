/** The proxy's faults, each against an echo server in this process. */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type TcpProxy, tcpProxy } from './tcp-proxy.ts'

let echo: Server
let proxy: TcpProxy
const clients: Socket[] = []

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  proxy = await tcpProxy((echo.address() as AddressInfo).port)
})
afterEach(async () => {
  for (const socket of clients.splice(0)) socket.destroy()
  await proxy.close()
  echo.close()
})

/** A client of the proxy, with what it has read so far, piece by piece. */
async function client(): Promise<{ socket: Socket; pieces: Buffer[]; text: () => string; ended: Promise<string> }> {
  const socket = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true })
  clients.push(socket)
  const pieces: Buffer[] = []
  socket.on('data', (piece) => pieces.push(piece))
  let code = 'FIN'
  socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code ?? ''))
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(code)))
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), ended])
  return { socket, pieces, text: () => Buffer.concat(pieces).toString(), ended }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Round trips of a second connection to the echo itself: whatever was on its way has arrived by then. */
async function settle(): Promise<void> {
  const direct = connect((echo.address() as AddressInfo).port, '127.0.0.1')
  clients.push(direct)
  for (let n = 0; n < 20; n += 1) {
    direct.write('x')
    await once(direct, 'data')
  }
}

describe('tcpProxy', () => {
  it('passes bytes both ways unchanged, also many, and counts connections', async () => {
    const one = await client()
    const sent = Buffer.alloc(3 << 20, 'abcdefg')
    one.socket.write(sent)
    await until(() => one.text().length === sent.length)
    expect(Buffer.concat(one.pieces).equals(sent)).toBe(true)
    expect([proxy.accepted, proxy.open]).toEqual([1, 1])
    one.socket.destroy()
    await until(() => proxy.open === 0)
  })

  it('passes the end of a stream on, and answers that follow it', async () => {
    const one = await client()
    one.socket.end('last words')
    expect(await one.ended).toBe('FIN')
    expect(one.text()).toBe('last words')
  })

  it('loses nothing of a late answer when both sides have ended', async () => {
    const one = await client()
    proxy.delay(20)
    const sent = Buffer.alloc(1 << 20, 'abcdefg')
    one.socket.end(sent)
    expect(await one.ended).toBe('FIN')
    expect(Buffer.concat(one.pieces).equals(sent)).toBe(true)
    await until(() => proxy.open === 0)
  })

  it('cut: nothing passes and nobody is told; healed, what was held arrives', async () => {
    const one = await client()
    one.socket.write('a')
    await until(() => one.text() === 'a')
    proxy.cut()
    one.socket.write('b')
    const two = await client()
    two.socket.write('c')
    await settle()
    expect([one.text(), two.text()]).toEqual(['a', ''])
    expect([one.socket.destroyed, two.socket.destroyed]).toEqual([false, false])
    await proxy.heal()
    await until(() => one.text() === 'ab' && two.text() === 'c')
  })

  it('cut: a client that gave up meanwhile is gone after the healing', async () => {
    proxy.cut()
    const one = await client()
    one.socket.write('x')
    one.socket.destroy()
    await until(() => proxy.open === 1)
    await proxy.heal()
    await until(() => proxy.open === 0)
    const two = await client()
    two.socket.write('y')
    await until(() => two.text() === 'y')
  })

  it('reset: an open connection gets RST, the next one works', async () => {
    const one = await client()
    one.socket.write('a')
    await until(() => one.text() === 'a')
    proxy.reset()
    expect(await one.ended).toBe('ECONNRESET')
    const two = await client()
    two.socket.write('b')
    await until(() => two.text() === 'b')
  })

  it('dribble: one byte a packet, in order', async () => {
    const one = await client()
    proxy.dribble()
    one.socket.write('0123456789')
    await until(() => one.text().length === 10)
    expect(one.text()).toBe('0123456789')
    expect(one.pieces.length).toBeGreaterThan(5)
  })

  it('delay: answers come later than without, in order', async () => {
    const one = await client()
    proxy.delay(60_000)
    one.socket.write('a')
    await settle()
    expect(one.text()).toBe('')
    one.socket.write('b')
    await proxy.heal()
    await until(() => one.text() === 'ab')
  })

  it('truncate: that many bytes, then FIN; once', async () => {
    const one = await client()
    proxy.truncate(3)
    one.socket.write('abcdef')
    expect(await one.ended).toBe('FIN')
    expect(one.text()).toBe('abc')
    const two = await client()
    two.socket.write('abcdef')
    await until(() => two.text() === 'abcdef')
  })

  it('refuse: resets what is open and refuses; healed, the same port accepts', async () => {
    const { port } = proxy
    const one = await client()
    one.socket.write('a')
    await until(() => one.text() === 'a')
    proxy.refuse()
    expect(await one.ended).toBe('ECONNRESET')
    expect(await (await client()).ended).toBe('ECONNREFUSED')
    await proxy.heal()
    expect(proxy.port).toBe(port)
    const two = await client()
    two.socket.write('b')
    await until(() => two.text() === 'b')
  })

  it('a server that is gone is a reset to the client', async () => {
    echo.close()
    await once(echo, 'close')
    const one = await client()
    expect(await one.ended).toBe('ECONNRESET')
  })

  it('close: twice does nothing more', async () => {
    await proxy.close()
    await proxy.close()
    expect(await (await client()).ended).toBe('ECONNREFUSED')
  })
})
