/**
 * One server process: started on a port of 127.0.0.1 in a temporary folder of its own, waited for until it answers,
 * then killed, paused, restarted on the same port, or stopped. It never outlives the process that started it, whatever
 * ends that: on Linux the kernel kills it (`setpriv --pdeathsig`), elsewhere an exit handler does.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Kind, envValue, factsOf } from './kinds.ts'
import { type Command, commandFor, findProgram } from './local.ts'
import { UNKNOWN_VERSION, probe } from './wire.ts'

/** Milliseconds a server may take to start: a Java one on a busy machine is the slowest. */
const START_MS = 60_000
/** Milliseconds between two looks at a server that is not ready yet. */
const LOOK_MS = 20
/** Milliseconds a server may take to end by itself before it is killed. */
const STOP_MS = 5_000
/** Below the range from which the kernel draws outgoing ports, so that a server finds its port free after a restart. */
const PORTS = { from: 10_000, count: 12_000 }

/** A server that its owner may hurt. */
export interface Server extends AsyncDisposable {
  readonly kind: Kind
  readonly port: number
  /** `127.0.0.1:port`. */
  readonly address: string
  /** What a client library connects to: `redis://127.0.0.1:6391`, `mongodb://…/`, `http://…`, or `host:port`. */
  readonly url: string
  /** What it is: `redis 7.0.15`. */
  readonly version: string
  /** Its temporary folder: data, if it keeps any, and `output.log`. */
  readonly folder: string
  /** The end of what it wrote to its output. */
  log(): string
  /** SIGKILL, as a crash; resolves when the process is gone and its port refuses. What it kept in memory is lost. */
  kill(): Promise<void>
  /** SIGSTOP: the port still accepts, and nothing answers. */
  pause(): void
  /** SIGCONT: it answers what has come in meanwhile. */
  resume(): void
  /** Ends the process if it runs and starts another on the same port and folder, with these arguments or the same. */
  restart(extra?: readonly string[]): Promise<void>
  /** Ends the process, gently at first, and removes its folder. A second call does nothing. */
  stop(): Promise<void>
}

/** Options of `startServer`. */
export interface ServerOptions {
  /** The port to take; by default a free one. */
  readonly port?: number
  /** Further arguments for the program. */
  readonly args?: readonly string[]
  /** Answers the server's version once it is ready and rejects until then; by default `probe`. */
  readonly ready?: (address: string) => Promise<string>
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/**
 * A port of 127.0.0.1 on which nothing listens, nor on the one 10,000 above, which a Redis Cluster's bus takes.
 *
 * @throws Error when a hundred tries found none.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
  throw new Error('no free port found on 127.0.0.1')
}

function launch(command: Command, folder: string, logFile: string): ChildProcess {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined
  const [program, args] =
    setpriv === undefined
      ? [command.program, command.args]
      : [setpriv, ['--pdeathsig', 'KILL', command.program, ...command.args]]
  const output = openSync(logFile, 'a')
  try {
    // In its own folder, since some leave files where they run (DynamoDB Local does).
    // In a session of its own: Ctrl-C in the terminal is for the starter, which stops its servers in order.
    return spawn(program, args, { stdio: ['ignore', output, output], detached: true, cwd: folder })
  } finally {
    closeSync(output)
  }
}

class LocalServer implements Server {
  readonly kind: Kind
  readonly port: number
  readonly address: string
  readonly url: string
  version = ''
  readonly folder: string
  readonly #ready: (address: string) => Promise<string>
  #extra: readonly string[]
  #child: ChildProcess | undefined
  #failure: Error | undefined
  readonly #killAtExit = (): void => void this.#child?.kill('SIGKILL')

  constructor(kind: Kind, port: number, options: ServerOptions) {
    this.kind = kind
    this.port = port
    this.address = `127.0.0.1:${port}`
    this.url = envValue(factsOf(kind), [this.address])
    this.folder = mkdtempSync(join(tmpdir(), `keepfresh-${kind}-`))
    this.#extra = options.args ?? []
    this.#ready = options.ready ?? ((address) => probe(kind, address))
    process.once('exit', this.#killAtExit)
  }

  get #logFile(): string {
    return join(this.folder, 'output.log')
  }

  get #isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  async start(): Promise<void> {
    const command = commandFor(this.kind, { port: this.port, folder: this.folder, extra: this.#extra })
    if (command === undefined) throw new Error(`${this.kind} is not installed: run test/services/install.sh`)
    // Otherwise the probe would greet whoever else sits there, and call it ours.
    if (!(await isFree(this.port))) throw new Error(`${this.kind}: port ${this.port} is taken`)
    this.#failure = undefined
    this.#child = launch(command, this.folder, this.#logFile)
    this.#child.once('error', (error) => (this.#failure = error))
    const answer = await this.#answer()
    const version = command.version?.exec(this.log())?.groups?.['version']
    this.version = version === undefined ? answer : answer.replace(UNKNOWN_VERSION, version)
  }

  async #answer(): Promise<string> {
    const deadline = performance.now() + START_MS
    for (;;) {
      try {
        const version = await this.#ready(this.address)
        if (this.#isRunning) return version
        throw new Error(`another server answers at ${this.address}`)
      } catch (error) {
        if (this.#failure !== undefined) throw this.#failure
        if (!this.#isRunning) throw new Error(`${this.kind} ended at once:\n${this.log()}`, { cause: error })
        if (performance.now() > deadline) {
          throw new Error(`${this.kind} was not ready in ${START_MS} ms:\n${this.log()}`, { cause: error })
        }
        await sleep(LOOK_MS)
      }
    }
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8').slice(-4_000)
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#isRunning) this.#child?.kill(signal)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || !this.#isRunning) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    // Memcached sleeps a second over a SIGTERM, and has nothing to save.
    child.kill(this.kind === 'memcached' ? 'SIGKILL' : signal)
    // A stopped process takes no signal but SIGKILL until it is continued.
    child.kill('SIGCONT')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await ended
    clearTimeout(timer)
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  pause(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  async restart(extra: readonly string[] = this.#extra): Promise<void> {
    await this.#end('SIGTERM')
    this.#extra = extra
    await this.start()
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
    process.removeListener('exit', this.#killAtExit)
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/**
 * Starts one server of a kind and waits until it answers.
 *
 * @throws Error when the program is not installed, its port is taken, or it ends or stays silent; the error has its output.
 * @example await using redis = await startServer('redis', { args: ['--maxmemory', '5mb'] })
 */
export async function startServer(kind: Kind, options: ServerOptions = {}): Promise<Server> {
  for (let tries = 1; ; tries += 1) {
    const server = new LocalServer(kind, options.port ?? (await freePort()), options)
    try {
      await server.start()
      return server
    } catch (error) {
      await server.stop()
      // Another process may have taken the port between our look and our server's.
      const wasOutrun = options.port === undefined && !(await isFree(server.port))
      if (!wasOutrun || tries === 3) throw error
    }
  }
}
