/** Caches of async functions as they take part: each with a function of its own that counts its calls. */
import { randomUUID } from 'node:crypto'
import { FAILS, messageOf } from '../lib/attempt.ts'
import { version } from '../lib/machine.ts'
import { ratio, type RaceOptions, type Result } from '../lib/race.ts'
import { digits, times } from '../lib/stats.ts'
import type { Cell, Report, Table } from '../lib/types.ts'
import type { FunctionCache, FunctionContender } from './contenders.ts'

/** One table, or several, of the bench. `redis`: where one runs; null: nowhere. */
export interface Section {
  readonly title: string
  readonly about: string
  run(quick: boolean, redis: string | null): Promise<Report>
}

export interface Entrant {
  readonly label: string
  readonly cache: FunctionCache
  /** Calls of the function so far. */
  readonly loads: { count: number }
}

export interface Entered {
  readonly entrants: readonly Entrant[]
  /** Who could not be set up, and why. */
  readonly notes: readonly string[]
}

export const KEYS: readonly string[] = Array.from({ length: 1000 }, (_, n) => `user:${n}`)

/** New caches for every case, so that what one case leaves behind does not slow the next. */
export async function enter(contenders: readonly FunctionContender[], redis = ''): Promise<Entered> {
  const entrants: Entrant[] = []
  const notes: string[] = []
  for (const { label, package: npm, setup } of contenders) {
    const loads = { count: 0 }
    const load = async (key: string): Promise<unknown> => {
      loads.count += 1
      return { key, name: 'some user', roles: ['reader'] }
    }
    try {
      const cache = await setup(load, { redis, name: `bench-${randomUUID()}` })
      entrants.push({ label: labelOf(label, npm), cache, loads })
    } catch (error) {
      notes.push(`${label} ${FAILS}: ${messageOf(error)}`)
    }
  }
  return { entrants, notes }
}

export function labelOf(label: string, npm: string | null): string {
  return npm === null ? label : `${label} (${version(npm) ?? 'not installed'})`
}

/** Asks for every key once, and again: what comes must be what the function gave. */
export async function fill({ label, cache }: Entrant): Promise<void> {
  for (const key of [...KEYS, ...KEYS.slice(0, 10)]) {
    const value = (await cache.get(key)) as { key?: unknown } | null
    if (value?.key !== key) throw new Error(`${label} answers another value than the function gave`)
  }
}

export async function leave(entrants: readonly Entrant[]): Promise<void> {
  for (const { cache } of entrants) await cache.close?.()
}

export function timing(quick: boolean, concurrency: number): RaceOptions {
  return { ...(quick ? { rounds: 3, turn: 60, warmUp: 60 } : { rounds: 9, turn: 250, warmUp: 400 }), concurrency }
}

/** Times, and ratios to the first of them whose label begins so. */
export function tableOf(title: string, results: ReadonlyMap<string, Result>, bases: readonly string[]): Table {
  const found = [...results.values()]
  const references = bases.map((start) => found.find(({ label }) => label.startsWith(start)))
  const rows = found.map((result): Cell[] => [
    result.label,
    ...(result.failure === null ? [digits(result.median), digits(result.p95)] : [FAILS, '-']),
    ...references.map((reference) => times(ratio(result, reference))),
  ])
  return { title, columns: ['cache', 'median us', 'p95 us', ...bases.map((base) => `of ${base}`)], rows }
}

export function failuresOf(results: ReadonlyMap<string, Result>, where: string): string[] {
  return [...results.values()].flatMap(({ label, failure }) =>
    failure === null ? [] : [`${label}, ${where}: fails: ${failure}`],
  )
}

/** `a` in times of `b`, each the first whose label begins so. */
export function ratioOf(results: ReadonlyMap<string, Result>, a: string, b: string): number {
  const find = (start: string): Result | undefined => [...results.values()].find(({ label }) => label.startsWith(start))
  return ratio(find(a), find(b))
}
