import { fork } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { labelOf } from '../lib/entrants.ts'
import type { LargeOrder, LargeResult } from '../lib/large-process.ts'
import { digits, times } from '../lib/stats.ts'
import type { Cell, Context, LoadedContender, Scenario, StoreKind, Target } from '../lib/types.ts'

const BASE = 'floor: fetch'
const LIMIT =
  'An SQLite value holds at most 1,000,000,000 bytes: a store that keeps a body in one value cannot keep this one.'

/** What came of one process: a result, or why there is none. */
type Read = LargeResult | string

interface Step {
  readonly name: string
  readonly label: string
  readonly read: Read
  /** Requests at the origin. */
  readonly requests: number
}

export const scenario: Scenario = {
  title: 'Large body',
  about:
    'One body is read as a stream, chunk by chunk, and thrown away by the reader. Every line is a process of its own; the memory is its peak resident set, Node itself included. What keeps files or a database is closed after the miss and read by another process; what keeps entries in memory has both reads in one.',
  async run(context) {
    const steps: Step[] = []
    for (const floor of context.floors.filter(({ name }) => name === BASE))
      steps.push(...(await read(context, floor, 'none', 0)))
    let number = 1
    for (const contender of context.contenders) {
      for (const store of contender.stores) steps.push(...(await read(context, contender, store, number++)))
    }
    const base = steps.find(({ label }) => label === BASE)?.read
    const rows = steps.map((step) => row(step, context.size, base))
    const columns = ['contender', 'read', 'peak memory, MiB', 'of uncached fetch', 'seconds', 'MiB/s', 'bytes']
    return {
      tables: [{ title: `${context.size / 2 ** 20} MiB`, columns, rows }],
      targets: ['miss', 'hit'].map((name) => goal(name, steps, base)),
      notes: context.size >= 1e9 ? [LIMIT] : [],
    }
  },
}

async function read(context: Context, contender: LoadedContender, store: StoreKind, number: number): Promise<Step[]> {
  const label = labelOf(contender, store)
  const dir = context.tmp()
  const prefix = `/${number + 10}/`
  const order = {
    module: contender.module,
    store,
    dir,
    origin: context.origin.url,
    url: `${context.origin.url}${prefix}large/${context.size}`,
  }
  const { bavail, bsize } = statfsSync(dir)
  if (store !== 'none' && store !== 'memory' && bavail * bsize < context.size * 3) {
    return [{ name: 'miss', label, read: 'not enough room on the disk', requests: 0 }]
  }
  const plan: readonly (readonly [string, number])[] =
    store === 'none'
      ? [['uncached', 1]]
      : store === 'memory'
        ? [['miss, then hit', 2]]
        : [
            ['miss', 1],
            ['hit', 1],
          ]
  const steps: Step[] = []
  for (const [name, reads] of plan) {
    context.log(`  ${label}: ${name}`)
    const before = await context.origin.count(prefix)
    const result = await inProcess({ ...order, reads }, timeout(context.size) * reads)
    steps.push({ name, label, read: result, requests: (await context.origin.count(prefix)) - before })
    if (typeof result === 'string') break
  }
  return steps
}

/** ms: five seconds, and twenty for a GiB; who copies at 50 MiB/s is in time. */
function timeout(size: number): number {
  return 5000 + (size / 2 ** 30) * 20_000
}

function inProcess(order: LargeOrder, ms: number): Promise<Read> {
  return new Promise((resolve) => {
    const child = fork(new URL('../lib/large-process.ts', import.meta.url), [JSON.stringify(order)], {
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
    child.on('exit', (code) => {
      clearTimeout(timer)
      resolve(result ?? `fails: ${/^\w*Error.*$/m.exec(said)?.[0] ?? `exit code ${code}`}`)
    })
  })
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

function goal(name: string, steps: readonly Step[], base: Read | undefined): Target {
  const ours = steps.find((step) => step.label === 'keepfresh, sqlite' && step.name === name)?.read
  const got = typeof ours === 'object' && typeof base === 'object' ? ours.peak / base.peak : Number.NaN
  return {
    what: `peak memory of the ${name} through SQLite, of uncached fetch`,
    sense: 'at most',
    limit: 1.3,
    got,
    unit: 'x',
  }
}
