/** Rates of requests: one process a contender, loaded in turns. */
import { messageOf } from '../lib/attempt.ts'
import { digits, median } from '../lib/stats.ts'
import type { Cell } from '../lib/types.ts'
import { labelOf, NOT_INSTALLED, start, type Running } from './contender.ts'
import type { Loader } from './load.ts'
import type { Mode } from './page.ts'

export interface RateOptions {
  readonly mode: Mode
  readonly bytes: number
  readonly rounds: number
  readonly seconds: number
  readonly loader: Loader
}

export interface Rate {
  readonly kind: string
  readonly label: string
  /** Requests a second; one of each round. */
  readonly rates: number[]
  /** Processor time of the server, us a request; one of each round. */
  readonly costs: number[]
  /** Runs of the handler while the clock ran. */
  runs: number
  failure: string | null
}

interface Lane extends Rate {
  readonly running: Running | null
}

export async function raceRates(kinds: readonly string[], options: RateOptions): Promise<Rate[]> {
  const { loader, rounds, seconds } = options
  const lanes: Lane[] = []
  for (const kind of kinds) lanes.push(await enter(kind, options))
  const each = async (work: (lane: Lane, running: Running) => Promise<void>): Promise<void> => {
    for (const lane of lanes) {
      if (lane.running === null || lane.failure !== null) continue
      try {
        await work(lane, lane.running)
      } catch (error) {
        lane.failure = `fails: ${messageOf(error)}`
      }
    }
  }
  await each(async (lane, running) => {
    await loader.run(`${running.url}/page`, 1)
    lane.runs = await running.runs()
  })
  for (let round = 0; round < rounds; round++)
    await each(async (lane, running) => {
      const before = running.processorTime()
      const { requestsPerSecond, requests } = await loader.run(`${running.url}/page`, seconds)
      lane.rates.push(requestsPerSecond)
      lane.costs.push(((running.processorTime() - before) * 1000) / requests)
    })
  await each(async (lane, running) => {
    lane.runs = (await running.runs()) - lane.runs
  })
  for (const { running } of lanes) await running?.stop()
  return lanes
}

async function enter(kind: string, { mode, bytes }: RateOptions): Promise<Lane> {
  const label = labelOf(kind)
  const lane = { kind, label: label ?? kind, rates: [], costs: [], runs: 0 }
  if (label === null) return { ...lane, running: null, failure: NOT_INSTALLED }
  try {
    return { ...lane, running: await start(kind, mode, bytes), failure: null }
  } catch (error) {
    return { ...lane, running: null, failure: `fails: ${messageOf(error)}` }
  }
}

/** The median of the rounds' ratios: requests a second, or requests for the same processor time. */
export function rateRatio(a: Rate | undefined, b: Rate | undefined, of: 'rates' | 'costs' = 'rates'): number {
  if (a === undefined || b === undefined || a.failure !== null || b.failure !== null) return Number.NaN
  const ratio = median(a[of].map((value, round) => value / (b[of][round] ?? Number.NaN)))
  return of === 'rates' ? ratio : 1 / ratio
}

/** What a cache in a framework is compared with: the framework without it. */
export function baseOf({ kind }: Rate, rates: readonly Rate[]): Rate | undefined {
  return rates.find((rate) => rate.kind === kind.split(' + ')[0])
}

export function rateRows(rates: readonly Rate[]): Cell[][] {
  return rates.map((rate) => {
    const { label, failure } = rate
    if (failure !== null) return [`${label} (**${failure}**)`, '-', '-', '-', '-', '-', '-']
    const requests = median(rate.rates)
    const base = rate.kind.includes(' + ') ? baseOf(rate, rates) : undefined
    return [
      label,
      String(Math.round(requests)),
      digits(rateRatio(rate, base)),
      digits(rateRatio(rate, rates[0])),
      digits(median(rate.costs)),
      digits(rateRatio(rate, base, 'costs')),
      rate.runs > 0 ? 'every request' : 'never',
    ]
  })
}
