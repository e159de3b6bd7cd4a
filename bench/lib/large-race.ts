/** One large body on a miss and on a hit, every read in a process of its own whose peak memory is taken. */
import { fork } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { messageOf } from './attempt.ts'
import { labelOf } from './entrants.ts'
import type { LargeOrder, LargeResult } from './large-process.ts'
import { isServer, serverOf } from './services.ts'
import { digits, times } from './stats.ts'
import type { Cell, Context, LoadedContender, Report, StoreKind, Table, Target } from './types.ts'

const BASE = 'floor: fetch'
/** ms for the start of a process, and ms a GiB: who copies at 50 MiB/s is in time; a server, which has the bytes copied to it, has longer. */
const START = 10_000
const PER_GIB = 20_000
const PER_GIB_SERVER = 600_000

/** What came of one process: a result, or why there is none. */
type Read = LargeResult | string

interface Step {
  readonly name: string
  readonly label: string
  readonly read: Read
  /** Requests at the origin. */
  readonly requests: number
}

/** Every contender with each of these stores; goals are ours, on the stores of `titles` that took part. */
export async function raceLarge(
  context: Context,
  stores: readonly StoreKind[],
  titles: Readonly<Record<string, string>>,
): Promise<Report> {
  const steps: Step[] = []
  for (const floor of context.floors.filter(({ name }) => name === BASE))
    steps.push(...(await read(context, floor, 'none', 0)))
  let number = 1
  for (const contender of context.contenders) {
    for (const store of contender.stores.filter((kind) => stores.includes(kind)))
      steps.push(...(await read(context, contender, store, number++)))
  }
  const base = steps.find(({ label }) => label === BASE)?.read
  const targets = Object.entries(titles).flatMap(([store, title]) =>
    ['miss', 'hit'].map((name) => goal(name, store, title, steps, base)),
  )
  return { tables: [tableOf(context.size, steps, base)], targets, notes: [] }
}

async function read(context: Context, contender: LoadedContender, store: StoreKind, number: number): Promise<Step[]> {
  const label = labelOf(contender, store)
  const dir = context.tmp()
  const prefix = `/${number + 10}/`
  const server = serverOf(store)
  if (server === null) return []
  const url = `${context.origin.url}${prefix}large/${context.size}`
  const order = { module: contender.module, store, dir, server, origin: context.origin.url, url }
  const { bavail, bsize } = statfsSync(dir)
  if (store !== 'none' && store !== 'memory' && bavail * bsize < context.size * 3)
    return [{ name: 'miss', label, read: 'not enough room on the disk', requests: 0 }]
  const steps: Step[] = []
  for (const { name, reads, last } of planOf(store)) {
    context.log(`  ${label}: ${name}`)
    const before = await context.origin.count(prefix)
    const result = await inProcess({ ...order, reads, last }, timeout(context.size, store) * reads)
    steps.push({ name, label, read: result, requests: (await context.origin.count(prefix)) - before })
    if (typeof result === 'string') break
  }
  return steps
}

function planOf(store: StoreKind): readonly { name: string; reads: number; last: boolean }[] {
  if (store === 'none') return [{ name: 'uncached', reads: 1, last: true }]
  if (store === 'memory') return [{ name: 'miss, then hit', reads: 2, last: true }]
  return [
    { name: 'miss', reads: 1, last: false },
    { name: 'hit', reads: 1, last: true },
  ]
}

function timeout(size: number, store: StoreKind): number {
  return START + (size / 2 ** 30) * (isServer(store) ? PER_GIB_SERVER : PER_GIB)
}

function inProcess(order: LargeOrder, ms: number): Promise<Read> {
  return new Promise((resolve) => {
    const child = fork(new URL('large-process.ts', import.meta.url), [JSON.stringify(order)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4000)))
    let result: Read | null = null
    const timer = setTimeout(() => {
      result = `no end within ${digits(ms / 1000)} s`
      child.kill('SIGKILL')
    }, ms)
    child.on('message', (message: LargeResult) => (result = message))
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      const why = /^\w*Error.*$/m.exec(said)?.[0] ?? `exit code ${code ?? signal}`
      resolve(result ?? `fails: ${messageOf(new Error(why))}`)
    })
  })
}

function tableOf(size: number, steps: readonly Step[], base: Read | undefined): Table {
  const columns = ['contender', 'read', 'peak memory, MiB', 'of uncached fetch', 'seconds', 'MiB/s', 'bytes']
  return { title: `${digits(size / 2 ** 20)} MiB`, columns, rows: steps.map((step) => row(step, size, base)) }
}

function row({ name, label, read: result, requests }: Step, size: number, base: Read | undefined): Cell[] {
  if (typeof result === 'string') return [label, name, result, '-', '-', '-', '-']
  const { bytes, ms, peak } = result
  const complete = bytes.every((count) => count === size)
  const wanted = name === 'hit' ? 0 : 1
  const state = requests === wanted ? 'all' : `all, **not from the cache**: requests at the origin: ${requests}`
  return [
    label,
    name,
    digits(peak / 2 ** 20),
    typeof base === 'object' ? times(peak / base.peak) : '-',
    ms.map((value) => digits(value / 1000)).join(', '),
    ms.map((value, i) => digits((bytes[i] ?? 0) / 2 ** 20 / (value / 1000))).join(', '),
    complete ? state : `**${bytes.join(', ')} of ${size}**`,
  ]
}

function goal(name: string, store: string, title: string, steps: readonly Step[], base: Read | undefined): Target {
  const ours = steps.find((step) => step.label === `keepfresh, ${store}` && step.name === name)?.read
  const got = typeof ours === 'object' && typeof base === 'object' ? ours.peak / base.peak : Number.NaN
  const what = `peak memory of the ${name} through ${title}, of uncached fetch`
  return { what, sense: 'at most', limit: 1.3, got, unit: 'x' }
}
