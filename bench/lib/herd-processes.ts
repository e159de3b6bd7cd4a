/** A herd in several processes that share one store: each sets its client up first, then all are told the URL at once. */
import { messageOf } from './attempt.ts'
import type { HerdAnswer, HerdCall, HerdOrder } from './herd-process.ts'
import { Team } from './team.ts'
import type { Context } from './types.ts'

const BYTES = 1024

export interface SharedHerd {
  /** ms until the last caller of the slowest process has its body; one of each round. */
  readonly times: readonly number[]
  readonly requests: readonly number[]
  readonly failure: string | null
}

export interface SharedHerdOptions extends Omit<HerdOrder, 'origin'> {
  readonly processes: number
  readonly delay: number
  readonly rounds: number
  /** The first segment of its paths: /10/ */
  readonly prefix: string
}

export async function sharedHerd(context: Context, options: SharedHerdOptions): Promise<SharedHerd> {
  const { processes, delay, rounds, prefix, ...rest } = options
  const order: HerdOrder = { ...rest, origin: context.origin.url }
  const [times, requests]: [number[], number[]] = [[], []]
  const callOf = (name: string): HerdCall => ({
    url: `${context.origin.url}${prefix}text/${BYTES}/${name}`,
    bytes: BYTES,
  })
  try {
    const team = await Team.start<HerdAnswer>(new URL('herd-process.ts', import.meta.url), order, processes)
    try {
      await team.ask(callOf('warm-up'))
      for (let round = 0; round < rounds; round++) {
        const before = await context.origin.count(prefix)
        const answers = await team.ask(callOf(`round-${round}?delay=${delay}`))
        times.push(Math.max(...answers.map(({ ms }) => ms)))
        requests.push((await context.origin.count(prefix)) - before)
      }
      await team.end()
    } finally {
      team.kill()
    }
    return { times, requests, failure: null }
  } catch (error) {
    return { times, requests, failure: messageOf(error) }
  }
}
