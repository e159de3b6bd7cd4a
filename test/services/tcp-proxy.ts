/**
 * A TCP proxy on 127.0.0.1 that spoils the connection between a client and a server as networks do. Requests pass
 * untouched, apart from `cut`; `delay`, `dribble` and `truncate` act on answers, since it is them a store has to read.
 * Bytes are never reordered, lost or made up while a connection lives.
 */
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { setImmediate as yieldToOthers, setTimeout as sleep } from 'node:timers/promises'

/** Bytes held in one direction before the sender is made to wait. */
const HELD_BYTES = 256 * 1024

/** A proxy whose faults are switched on and off; several may be on at once. */
export interface TcpProxy extends AsyncDisposable {
  /** The port that clients connect to. It stays the same over `refuse` and `heal`. */
  readonly port: number
  /** `127.0.0.1:port`. */
  readonly address: string
  /** Connections open at this moment. */
  readonly open: number
  /** Connections accepted since the start: how often a client has reconnected. */
  readonly accepted: number
  /** Every piece of an answer arrives this many milliseconds after it came. */
  delay(ms: number): void
  /** As a pulled cable: from now on nothing passes in either direction, and nobody is told. New connections are
   * accepted and hang. After `heal` what was held arrives, late, as TCP has it. */
  cut(): void
  /** Resets every open connection (RST, a client's ECONNRESET) once; the next connection works. */
  reset(): void
  /** Answers arrive one byte a packet. */
  dribble(): void
  /** Lets this many more bytes of answers through, then closes that connection (FIN) once; the next one works. */
  truncate(bytes: number): void
  /** Stops listening and resets what is open: a client's ECONNREFUSED, as from a server that is down. */
  refuse(): void
  /** Ends every fault; resolves when the port accepts again. */
  heal(): Promise<void>
  /** Resets what is open and stops for good. */
  close(): Promise<void>
}

/** The faults that are on. One object for all connections of a proxy. */
class Faults {
  delayMs = 0
  isDribbling = false
  /** Bytes of answers left before the end; Infinity when nothing is to be truncated. */
  allowance = Infinity
  #gate: PromiseWithResolvers<void> | undefined

  cut(): void {
    this.#gate ??= Promise.withResolvers<void>()
  }

  heal(): void {
    this.delayMs = 0
    this.isDribbling = false
    this.allowance = Infinity
    this.#gate?.resolve()
    this.#gate = undefined
  }

  /** Resolves when no cable is cut. */
  async passable(): Promise<void> {
    while (this.#gate !== undefined) await this.#gate.promise
  }
}

/** One direction of one connection: pieces in the order in which they came, each with the time at which it is due. */
class Lane {
  readonly #from: Socket
  readonly #to: Socket
  readonly #faults: Faults
  readonly #spoils: boolean
  readonly #pieces: { readonly bytes: Buffer; readonly cameAt: number }[] = []
  #held = 0
  #isEnded = false
  #isPumping = false

  /** @param spoils - Whether the faults of answers act here. */
  constructor(from: Socket, to: Socket, faults: Faults, spoils: boolean) {
    this.#from = from
    this.#to = to
    this.#faults = faults
    this.#spoils = spoils
  }

  start(): void {
    this.#from.on('data', (bytes) => {
      this.#pieces.push({ bytes, cameAt: performance.now() })
      this.#held += bytes.length
      if (this.#held > HELD_BYTES) this.#from.pause()
      this.#startPump()
    })
    this.#from.once('end', () => {
      this.#isEnded = true
      this.#startPump()
    })
  }

  #startPump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    this.#pump().then(
      () => (this.#isPumping = false),
      (error: unknown) => this.#to.destroy(error instanceof Error ? error : new Error(String(error))),
    )
  }

  async #pump(): Promise<void> {
    for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) {
      await this.#faults.passable()
      if (this.#spoils) await this.#wait(piece.cameAt)
      if (this.#to.destroyed) return
      await this.#pass(piece.bytes)
      this.#held -= piece.bytes.length
      if (this.#held <= HELD_BYTES) this.#from.resume()
    }
    await this.#faults.passable()
    if (this.#isEnded && this.#pieces.length === 0) this.#to.end()
  }

  /** Looked at again after each wait, since the fault may have been healed, or made worse, meanwhile. */
  async #wait(cameAt: number): Promise<void> {
    for (;;) {
      const left = cameAt + this.#faults.delayMs - performance.now()
      if (left <= 0) return
      await sleep(Math.min(left, 10))
    }
  }

  async #pass(bytes: Buffer): Promise<void> {
    const allowed = this.#spoils ? Math.min(bytes.length, this.#faults.allowance) : bytes.length
    if (this.#spoils) this.#faults.allowance -= allowed
    await this.#send(bytes.subarray(0, allowed))
    if (allowed === bytes.length) return
    this.#faults.allowance = Infinity
    // Half-closed, not destroyed: a RST could overtake the bytes that were let through.
    this.#to.end()
    this.#from.destroy()
  }

  async #send(bytes: Buffer): Promise<void> {
    if (!this.#spoils || !this.#faults.isDribbling) return this.#write(bytes)
    for (let at = 0; at < bytes.length; at += 1) {
      await this.#write(bytes.subarray(at, at + 1))
      // The reader's turn: otherwise the kernel would hand it several writes at once.
      await yieldToOthers()
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0 || this.#to.destroyed || this.#to.write(bytes)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#to.removeListener('drain', done)
        this.#to.removeListener('close', done)
        resolve()
      }
      this.#to.on('drain', done)
      this.#to.on('close', done)
    })
  }
}

class Proxy implements TcpProxy {
  readonly #target: { readonly host: string; readonly port: number }
  readonly #server = createServer({ allowHalfOpen: true, noDelay: true })
  readonly #faults = new Faults()
  readonly #sockets = new Set<Socket>()
  #port = 0
  #accepted = 0

  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
    this.#server.on('connection', (client) => void this.#accept(client))
  }

  get port(): number {
    return this.#port
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  get accepted(): number {
    return this.#accepted
  }

  get open(): number {
    return [...this.#sockets].filter((socket) => socket.localPort === this.#port).length
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.removeListener('error', reject)
        this.#port = (this.#server.address() as AddressInfo).port
        resolve()
      })
    })
  }

  async #accept(client: Socket): Promise<void> {
    this.#accepted += 1
    client.on('error', () => client.destroy())
    this.#track(client)
    // Over a cut cable no connection is made; the kernel has accepted this one, so it hangs.
    await this.#faults.passable()
    if (client.destroyed) return
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    this.#track(server)
    // What ends one side abruptly ends the other so.
    client.on('error', () => server.resetAndDestroy())
    server.on('error', () => client.resetAndDestroy())
    // A side that has ended in order is passed on by its lane, after what it said; only another is passed on at once.
    client.once('close', () => client.readableEnded || server.destroy())
    server.once('close', () => server.readableEnded || client.writableEnded || client.destroy())
    new Lane(client, server, this.#faults, false).start()
    new Lane(server, client, this.#faults, true).start()
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  delay(ms: number): void {
    this.#faults.delayMs = ms
  }

  cut(): void {
    this.#faults.cut()
  }

  dribble(): void {
    this.#faults.isDribbling = true
  }

  truncate(bytes: number): void {
    this.#faults.allowance = bytes
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  refuse(): void {
    if (this.#server.listening) this.#server.close()
    this.reset()
  }

  async heal(): Promise<void> {
    this.#faults.heal()
    if (!this.#server.listening) await this.listen()
  }

  async close(): Promise<void> {
    this.refuse()
    this.#faults.heal()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/**
 * Starts a proxy in front of `127.0.0.1:targetPort`, without faults.
 *
 * @example
 * await using proxy = await tcpProxy(redis.port)
 * const client = createClient({ url: `redis://${proxy.address}` })
 * proxy.cut() // every command hangs
 * await proxy.heal()
 */
export async function tcpProxy(targetPort: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const proxy = new Proxy({ host, port: targetPort })
  await proxy.listen()
  return proxy
}
