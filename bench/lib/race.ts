/**
 * The race: subjects take turns in rounds, each round starting with another one.
 *
 * 1. A sample is the mean time of a group of calls that takes at least GROUP_US together, or one call (or one wave) that takes longer.
 * 2. Medians, 95th percentiles and ratios are taken within a round; the median over the rounds is reported. Samples of all rounds are
 *    not thrown together: a turn has a fixed length, so that fast rounds would count for more.
 * 3. Rubbish of one subject is not paid for by the next: the young is collected before each turn, all of it before each round, or before
 *    each turn where calls leave tens of kilobytes behind.
 * 4. Who throws, or does not answer for half a minute, is out of the race, and its result says why.
 */
import { setImmediate } from 'node:timers/promises'
import { messageOf, within } from './attempt.ts'
import { median, quantile } from './stats.ts'

export interface Subject {
  readonly label: string
  /** One call; `i` counts up, for subjects that take another URL each time. */
  call(i: number): Promise<unknown>
}

export interface RaceOptions {
  readonly rounds: number
  /** How long a turn lasts, in ms. */
  readonly turn: number
  /** Calls in flight at a time. */
  readonly concurrency: number
  /** How long each subject runs before the first round, in ms. */
  readonly warmUp: number
  /** When all rubbish is collected. Default 'round'. */
  readonly collect?: 'round' | 'turn'
  /** A turn ends after so many calls, too. */
  readonly maxCalls?: number
}

export interface Result {
  readonly label: string
  /** us per call. */
  readonly median: number
  readonly p95: number
  /** The median of each round, us. */
  readonly rounds: readonly number[]
  readonly calls: number
  /** Why it did not get to the end; its numbers are then none. */
  readonly failure: string | null
}

const GROUP_US = 50
/** ms that a turn may take longer than it should. */
const PATIENCE = 30_000

class Lane {
  readonly subject: Subject
  readonly rounds: number[] = []
  readonly tails: number[] = []
  calls = 0
  waves = 1
  failure: string | null = null
  private readonly concurrency: number
  constructor(subject: Subject, concurrency: number) {
    this.subject = subject
    this.concurrency = concurrency
  }

  async wave(): Promise<void> {
    if (this.concurrency === 1) {
      await this.subject.call(this.calls++)
      return
    }
    const pending: Promise<unknown>[] = []
    for (let i = 0; i < this.concurrency; i++) pending.push(this.subject.call(this.calls++))
    await Promise.all(pending)
  }

  /** Runs for `ms`, returning the samples in us per call; none once it has failed. */
  async turn(ms: number, maxCalls: number): Promise<number[]> {
    const samples: number[] = []
    if (this.failure !== null) return samples
    try {
      await within(this.sample(samples, ms, maxCalls), ms + PATIENCE)
    } catch (error) {
      this.failure = messageOf(error)
    }
    return samples
  }

  private async sample(samples: number[], ms: number, maxCalls: number): Promise<void> {
    const end = performance.now() + ms
    const lastCall = this.calls + maxCalls
    let before = performance.now()
    while (before < end && this.calls < lastCall) {
      for (let i = 0; i < this.waves; i++) await this.wave()
      const after = performance.now()
      samples.push(((after - before) * 1000) / (this.waves * this.concurrency))
      before = after
    }
  }

  /** Warms up, and finds how many waves make a group. */
  async warmUp(ms: number, maxCalls: number): Promise<void> {
    const samples = await this.turn(ms, maxCalls)
    const wave = median(samples.slice(samples.length >> 1)) * this.concurrency
    this.waves = Math.max(1, Math.ceil(GROUP_US / wave) || 1)
  }

  async round(ms: number, maxCalls: number): Promise<void> {
    const samples = await this.turn(ms, maxCalls)
    this.rounds.push(median(samples))
    this.tails.push(quantile(samples, 0.95))
  }

  result(): Result {
    const { rounds, tails, calls, failure } = this
    const [typical, tail] = failure === null ? [median(rounds), median(tails)] : [Number.NaN, Number.NaN]
    return { label: this.subject.label, median: typical, p95: tail, rounds, calls, failure }
  }
}

/** Runs the subjects against each other. Call it under --expose-gc. */
export async function race(subjects: readonly Subject[], options: RaceOptions): Promise<Map<string, Result>> {
  const { maxCalls = Infinity, collect = 'round' } = options
  const lanes = subjects.map((subject) => new Lane(subject, options.concurrency))
  for (const lane of lanes) await lane.warmUp(options.warmUp, maxCalls)
  for (let round = 0; round < options.rounds; round++) {
    globalThis.gc?.()
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[(i + round) % lanes.length]
      if (lane === undefined || lane.failure !== null) continue
      await setImmediate()
      await globalThis.gc?.({ execution: 'async', type: collect === 'turn' ? 'major' : 'minor' })
      await lane.round(options.turn, maxCalls)
    }
  }
  return new Map(lanes.map((lane) => [lane.subject.label, lane.result()]))
}

/** How many times `a` takes of `b`: the median over the rounds; NaN where one is missing or failed. */
export function ratio(a: Result | undefined, b: Result | undefined): number {
  if (a === undefined || b === undefined || a.failure !== null || b.failure !== null) return Number.NaN
  return median(a.rounds.map((value, round) => value / (b.rounds[round] ?? Number.NaN)))
}
