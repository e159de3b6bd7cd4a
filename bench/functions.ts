/**
 * Caching async functions: node bench/functions.ts [--quick] [--redis redis://localhost:6379]
 *
 * Hits, misses, a herd and many keys at once, on caches in memory: all contenders take turns in one process (lib/race.ts). With --redis, a hit
 * in Redis as well, against a bare GET and JSON.parse. A contender that is not installed is left out, and the run says so.
 */
import { fork } from 'node:child_process'
import { parseArgs } from 'node:util'
import { contenders, type FunctionCache, type FunctionContender } from './functions/contenders.ts'
import { redisHits } from './functions/redis.ts'
import { describe, machine, version } from './lib/machine.ts'
import { race, ratio, type RaceOptions, type Result, type Subject } from './lib/race.ts'
import { digits, times } from './lib/stats.ts'
import { markdown } from './lib/tables.ts'
import type { Cell } from './lib/types.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, redis: { type: 'string' } } })

const KEYS = Array.from({ length: 1000 }, (_, n) => `user:${n}`)
const HERD = 1000
const MANY = 100

const ABOUT = 'Medians of the rounds; ratios are medians of the ratios within a round.'
const EACH = 'Time a call'

interface Entrant {
  readonly label: string
  readonly cache: FunctionCache
  /** Calls of the function so far. */
  readonly loads: { count: number }
}

async function enter(contender: FunctionContender): Promise<Entrant | null> {
  const loads = { count: 0 }
  const load = async (key: string): Promise<unknown> => {
    loads.count += 1
    return { key, name: 'some user', roles: ['reader'] }
  }
  try {
    const found = contender.package === null ? '' : ` ${version(contender.package) ?? ''}`
    return { label: contender.label + found, cache: await contender.setup(load), loads }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    process.stderr.write(`${contender.label} is not installed and left out\n`)
    return null
  }
}

/** New caches for every case, so that what one case leaves behind does not slow the next. */
async function entrants(): Promise<Entrant[]> {
  const all = await Promise.all(contenders.map(enter))
  return all.filter((entrant) => entrant !== null)
}

function options(concurrency: number, more: Partial<RaceOptions> = {}): RaceOptions {
  const scale = values.quick ? { rounds: 3, turn: 60, warmUp: 60 } : { rounds: 9, turn: 250, warmUp: 400 }
  return { ...scale, concurrency, ...more }
}

const hit = ({ label, cache }: Entrant): Subject => ({ label, call: (i) => cache.get(KEYS[i % KEYS.length] ?? '') })
const miss = ({ label, cache }: Entrant): Subject => ({ label, call: (i) => cache.get(`new:${i}`) })

async function hits(concurrency: number): Promise<void> {
  const all = await entrants()
  for (const { cache } of all) for (const key of KEYS) await cache.get(key)
  const before = all.map(({ loads }) => loads.count)
  const results = await race(all.map(hit), options(concurrency))
  const missed = all
    .filter(({ loads }, index) => loads.count !== before[index])
    .map(({ label }) => `${label} called the function during the measurement: these are no hits.`)
  print(`Hit, ${concurrency} at a time`, EACH, results, missed)
}

async function misses(concurrency: number): Promise<void> {
  print(`Miss, ${concurrency} at a time`, EACH, await race((await entrants()).map(miss), options(concurrency)))
}

/** One call is a herd of a thousand; the table says per call of the herd. */
async function herd(): Promise<void> {
  const all = await entrants()
  const subjects = all.map(({ label, cache }) => ({
    label,
    call: (i: number) => Promise.all(Array.from({ length: HERD }, () => cache.get(`herd:${i}`))),
  }))
  const results = await race(subjects, options(1))
  const notes = all.map(
    ({ label, loads }) =>
      `${label}: ${digits(loads.count / (results.get(label)?.calls ?? Number.NaN))} calls of the function a herd`,
  )
  print(`A herd of ${HERD} calls for one new key`, 'Time a herd', results, notes)
}

async function many(): Promise<void> {
  const all = (await entrants()).filter(({ cache }) => cache.getMany !== null)
  for (const { cache } of all) for (const key of KEYS) await cache.get(key)
  const keys = KEYS.slice(0, MANY)
  const subjects = all.map(({ label, cache }) => ({ label, call: () => cache.getMany?.(keys) ?? Promise.resolve() }))
  print(`${MANY} keys at once, all of them hits`, 'Time for all keys', await race(subjects, options(1)))
}

function print(title: string, unit: string, results: Map<string, Result>, notes: readonly string[] = []): void {
  const reference = [...results.values()].find(({ label }) => label.startsWith('lru-cache'))
  const ours = results.get('keepfresh memoize')
  const rows = [...results.values()].map((result): Cell[] => [
    result.label,
    result.median,
    result.p95,
    times(ratio(result, reference)),
    times(ratio(result, ours)),
  ])
  const columns = ['cache', 'median us', 'p95 us', 'x lru-cache', 'x keepfresh']
  console.log(
    `${markdown({ title, about: ABOUT }, { tables: [{ title: unit, columns, rows }], targets: [], notes: [...notes] })}\n`,
  )
}

if (globalThis.gc === undefined) {
  const child = fork(new URL(import.meta.url), process.argv.slice(2), {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  })
  child.on('exit', (code) => (process.exitCode = code ?? 1))
} else {
  console.log(`${describe(machine())}\n`)
  for (const concurrency of [1, 32]) await hits(concurrency)
  for (const concurrency of [1, 32]) await misses(concurrency)
  await herd()
  await many()
  if (values.redis !== undefined) print('Hit in Redis, 1 at a time', EACH, await redisHits(values.redis, options(1)))
}
