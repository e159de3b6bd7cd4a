/**
 * One connection to one memcached server, made when it is needed and made again when it was lost.
 *
 * Rule 1: commands are pipelined and answered in order: those of one step are written together, and where the server is busy, those of one
 *   turn of the event loop.
 * Rule 2: every command settles within `timeout`, connecting and waiting behind others included. One that is late, or answered with
 *   anything but an answer, ends the connection: what comes after it could be taken for the answer of another (RELIABILITY B39, B40).
 * Rule 3: a server that failed is left alone for a pause, doubled with each failure in a row; commands fail at once meanwhile. Only
 *   an answer ends the row: a paused process accepts connections, too.
 * Rule 4: an idle connection does not keep the process alive; a command under way does.
 */
import { connect as connectPlain, type Socket } from 'node:net'
import { setImmediate } from 'node:timers'
import { connect as connectSecure, type ConnectionOptions } from 'node:tls'
import { StoreError, type StoreErrorCode } from '../errors.ts'
import { together, type Pending } from './memcached-pending.ts'
import { ProtocolError, refusal, ReplyParser, storage, type Reply, type Request } from './memcached-protocol.ts'
import type { MemcachedServer } from './memcached-servers.ts'

export interface ConnectionOptionsOf {
  /** Milliseconds a command may take. */
  readonly timeout: number
  readonly credentials: { readonly username: string; readonly password: string } | null
  readonly tls: ConnectionOptions | null
}

/** A command was not sent: its server failed a moment ago. */
export class DownError extends StoreError {}

const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000
const KEEP_ALIVE = 60_000
const LINE_BREAK = '\r\n'
const CLOSED = 'it closed the connection'
const NOT_LOGGED_IN = /^CLIENT_ERROR (un|bad )?authenticat/

export class MemcachedConnection {
  readonly server: MemcachedServer
  readonly #options: ConnectionOptionsOf
  readonly #now: () => number
  #socket: Socket | null = null
  #parser = new ReplyParser()
  #pending: Pending[] = []
  /** Those of the pending that were not written yet: the last ones. */
  #unsent = 0
  #timer: NodeJS.Timeout | null = null
  #failures = 0
  #pausedUntil = 0
  #lastError = ''
  #closed: PromiseWithResolvers<void> | null = null

  /** @param now milliseconds by a clock that only goes forward */
  constructor(server: MemcachedServer, options: ConnectionOptionsOf, now: () => number = () => performance.now()) {
    this.server = server
    this.#options = options
    this.#now = now
  }

  /**
   * What `take` makes of the reply to a request; rejects with what it throws, with StoreError, or with DownError where the server is left
   * alone.
   */
  send<T>(request: Request, take: (reply: Reply) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) throw this.#error('ERR_STORE_CLOSED', 'the client is closed')
      const socket = this.#socket ?? this.#connect()
      const settle = (reply: Reply): void => {
        try {
          resolve(take(reply))
        } catch (error) {
          reject(error)
        }
      }
      this.#push(socket, { request, deadline: this.#now() + this.#options.timeout, settle, reject })
    })
  }

  /** Resolves when what was sent is answered, or late, and the connection is gone. */
  close(): Promise<void> {
    this.#closed ??= Promise.withResolvers<void>()
    if (this.#pending.length === 0) this.#end()
    return this.#closed.promise
  }

  #end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
    this.#closed?.resolve()
  }

  #connect(): Socket {
    const wait = this.#pausedUntil - this.#now()
    if (wait > 0) {
      const message = `memcached at ${this.server.name} is down (${this.#lastError}); it is tried again in ${Math.ceil(wait)} ms`
      throw new DownError('ERR_STORE_OPEN', message)
    }
    const { tls } = this.#options
    const { server } = this
    const socket = tls === null ? connectPlain(server.target) : connectSecure({ ...server.target, ...tls })
    let connected = false
    socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
    socket.once(tls === null ? 'connect' : 'secureConnect', () => (connected = true))
    socket.on('data', (bytes) => this.#read(socket, bytes))
    socket.on('error', (error) => this.#lose(socket, connected ? 'ERR_STORE_FAILED' : 'ERR_STORE_OPEN', error.message))
    for (const event of ['end', 'close']) {
      socket.on(event, () => this.#lose(socket, connected ? 'ERR_STORE_FAILED' : 'ERR_STORE_OPEN', CLOSED))
    }
    this.#socket = socket
    this.#parser = new ReplyParser()
    this.#logIn(socket)
    return socket
  }

  /** The text protocol's authentication: any `set` whose value is the name and the password. */
  #logIn(socket: Socket): void {
    const { credentials, timeout } = this.#options
    if (credentials === null) return
    const request = storage('set', 'login', Buffer.from(`${credentials.username} ${credentials.password}`), 0)
    this.#push(socket, { request, deadline: this.#now() + timeout, settle: nobody, reject: nobody })
  }

  #push(socket: Socket, pending: Pending): void {
    const isIdle = this.#pending.push(pending) === 1
    if (isIdle) socket.ref()
    this.#timer ??= this.#timerFor(this.#options.timeout)
    if (this.#unsent++ > 0) return
    // A server that has nothing to do gets what there is when this step ends; one that is busy can wait for what this turn brings.
    if (isIdle) process.nextTick(() => this.#write(socket))
    else setImmediate(() => this.#write(socket))
  }

  /** Rule 1: what is sent together is one packet, and lines without values between them are one text. */
  #write(socket: Socket): void {
    if (socket !== this.#socket) return
    const commands = together(this.#pending.splice(this.#pending.length - this.#unsent))
    this.#unsent = 0
    let lines = ''
    let isCorked = false
    for (const command of commands) {
      this.#pending.push(command)
      const { text, data } = command.request
      lines += text
      if (data === null) continue
      if (!isCorked) socket.cork()
      isCorked = true
      socket.write(lines, 'latin1')
      socket.write(data)
      lines = LINE_BREAK
    }
    if (lines !== '') socket.write(lines, 'latin1')
    if (isCorked) socket.uncork()
  }

  #read(socket: Socket, bytes: Buffer): void {
    if (socket !== this.#socket) return
    try {
      this.#parser.feed(bytes)
      for (let reply = this.#parser.next(); reply !== null; reply = this.#parser.next()) this.#answer(socket, reply)
      if (this.#pending.length === this.#unsent && !this.#parser.isIdle)
        throw new ProtocolError('more than was asked for')
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#lose(socket, 'ERR_STORE_FAILED', `it answered ${error.message}, which is no memcached reply to this`)
    }
  }

  #answer(socket: Socket, reply: Reply): void {
    const pending = this.#pending[0]
    // What has not been sent yet cannot have been answered.
    if (pending === undefined || this.#pending.length === this.#unsent)
      throw new ProtocolError('more than was asked for')
    if (NOT_LOGGED_IN.test(reply.line)) {
      return this.#lose(socket, 'ERR_STORE_OPEN', 'it refuses the user name or the password, or wants them')
    }
    const wrong = refusal(pending.request, reply)
    if (wrong !== null) throw new ProtocolError(wrong)
    this.#pending.shift()
    this.#failures = 0
    pending.settle(reply)
    if (this.#pending.length > 0) return
    if (this.#closed === null) socket.unref()
    else this.#end()
  }

  /** The connection is of no more use. */
  #lose(socket: Socket, code: StoreErrorCode, what: string): void {
    if (socket !== this.#socket) return
    this.#socket = null
    socket.destroy()
    const lost = this.#pending
    this.#pending = []
    this.#unsent = 0
    // A server may end what is idle; that is no failure.
    if (lost.length > 0 || what !== CLOSED) this.#pause(what)
    const error = this.#error(code, what)
    for (const { reject } of lost) reject(error)
    if (this.#closed !== null) this.#end()
  }

  #pause(why: string): void {
    this.#lastError = why
    this.#pausedUntil = this.#now() + Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE)
    this.#failures++
  }

  #error(code: StoreErrorCode, what: string): StoreError {
    return new StoreError(code, `memcached at ${this.server.name}: ${what}`)
  }

  /** One timer for all: the first in the queue is the first to be late. */
  #timerFor(wait: number): NodeJS.Timeout {
    return setTimeout(() => this.#checkDeadline(), wait).unref()
  }

  #checkDeadline(): void {
    this.#timer = null
    const [first] = this.#pending
    if (first === undefined) return
    const left = first.deadline - this.#now()
    if (left > 0) {
      this.#timer = this.#timerFor(left)
      return
    }
    // If it was this process that was busy, the answer is there and only has to be read.
    setImmediate(() => {
      const socket = this.#socket
      if (this.#pending[0] === first && socket !== null) {
        this.#lose(socket, 'ERR_STORE_TIMEOUT', `it did not answer within ${this.#options.timeout} ms`)
      } else if (this.#pending.length > 0) {
        this.#timer ??= this.#timerFor(1)
      }
    })
  }
}

/** Nobody waits for a login: its failure is that of all behind it. */
function nobody(): void {}
