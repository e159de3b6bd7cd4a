/** One contender that runs: a process of ours, or a proxy in front of one; and what it said when it could not. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { within } from '../lib/attempt.ts'
import { version } from '../lib/machine.ts'
import { processorTime } from '../lib/processor-time.ts'
import { Page, type Mode } from './page.ts'
import { PROXIES, proxyVersion, startProxy, type Proxy } from './proxies.ts'

const PATIENCE = 15_000

/**
 * Room for all that a server loads: where the first collection of old objects comes before Node's own functions are compiled, V8 forgets
 * the shape of what `process.nextTick` makes, and each request takes 2 us longer as long as the process lives. By chance, that would be
 * so for whoever loads a little more.
 */
const HEAP = ['--initial-heap-size=256']

export interface Running {
  readonly url: string
  /** How often the handler has run so far. */
  runs(): Promise<number>
  /** ms of processor time so far; NaN where the system does not tell. */
  processorTime(): number
  stop(): Promise<void>
}

const PACKAGES: Readonly<Record<string, string>> = {
  Express: 'express',
  Koa: 'koa',
  Fastify: 'fastify',
  Hono: 'hono',
  apicache: 'apicache',
  'koa-cash': 'koa-cash',
  '@fastify/caching': '@fastify/caching',
}

/** What a table says of a program that is not there. */
export const NOT_INSTALLED = 'skipped: not installed here'

/** Name and version, of the cache where there is one; null: it is not installed. */
export function labelOf(kind: string): string | null {
  if (kind in PROXIES) {
    const found = proxyVersion(kind)
    return found === null ? null : `${kind} ${found}`
  }
  const own = kind.split(' + ').at(-1) ?? ''
  const npm = PACKAGES[own]
  return npm === undefined ? kind : `${kind} ${version(npm) ?? ''}`.trimEnd()
}

/** @throws Error when it does not start, or answers wrongly */
export async function start(kind: string, mode: Mode, bytes: number): Promise<Running> {
  const proxied = kind in PROXIES
  const child = fork(new URL('server.ts', import.meta.url), [proxied ? 'node:http' : kind, mode, String(bytes)], {
    execArgv: HEAP,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let proxy: Proxy | null = null
  try {
    const origin = `http://127.0.0.1:${await portOf(child)}`
    if (proxied) proxy = await startProxy(kind, origin, new Page(mode, 0).ttl)
    const runs = async (): Promise<number> => Number(await (await fetch(`${origin}/runs`)).text())
    const url = proxy?.url ?? origin
    await check(`${url}/page`, bytes)
    const pid = proxy?.pid ?? child.pid
    return { url, runs, processorTime: () => processorTime(pid), stop: () => stop(child, proxy) }
  } catch (error) {
    await stop(child, proxy)
    throw error
  }
}

async function portOf(child: ChildProcess): Promise<number> {
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4000)))
  const gone = once(child, 'exit').then(() => {
    throw new Error(/^\w*Error.*$/m.exec(said)?.[0] ?? 'it does not start')
  })
  const [port] = (await within(Promise.race([once(child, 'message'), gone]), PATIENCE)) as [number]
  return port
}

async function stop(child: ChildProcess, proxy: Proxy | null): Promise<void> {
  await proxy?.stop()
  child.kill('SIGKILL')
}

/** Twice, so that what is kept is read back, too. */
async function check(url: string, bytes: number): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const response = await fetch(url)
    const body = Buffer.from(await response.arrayBuffer())
    if (response.status !== 200) throw new Error(`it answers ${response.status}`)
    if (!body.equals(Buffer.alloc(bytes, 'a'))) throw new Error('it answers another body than the handler makes')
  }
}
