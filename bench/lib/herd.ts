/** A herd: many callers who ask for the same cold URL at once. */
import { attempt, type Entrant } from './entrants.ts'
import type { Context } from './types.ts'

/** Whoever takes longer, in ms, is asked once. */
const SLOW = 2000
const BYTES = 1024

export interface Herd {
  readonly entrant: Entrant
  /** ms until the last caller has its body; one of each round. */
  readonly times: number[]
  /** Requests at the origin; one of each round. */
  readonly requests: number[]
}

export interface HerdOptions {
  readonly callers: number
  /** ms the origin takes to answer. */
  readonly delay: number
  readonly rounds: number
  /** Herds before the first that counts, without the delay: code is compiled and connections are there. */
  readonly warmUps: number
}

/** All entrants take turns; who throws or answers wrongly has failed. */
export async function raceHerds(context: Context, entrants: readonly Entrant[], options: HerdOptions): Promise<Herd[]> {
  const { callers, delay, rounds, warmUps } = options
  const herds = entrants.map((entrant): Herd => ({ entrant, times: [], requests: [] }))
  for (const entrant of entrants) {
    for (let i = 0; i < warmUps; i++)
      await attempt(entrant, async () => void (await stampede(context, entrant, `warm-up-${i}?delay=0`, callers)))
  }
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < herds.length; i++) {
      const herd = herds[(i + round) % herds.length]
      if (herd === undefined || Math.max(...herd.times) > SLOW) continue
      globalThis.gc?.()
      await attempt(herd.entrant, async () => {
        const { ms, requests } = await stampede(context, herd.entrant, `round-${round}?delay=${delay}`, callers)
        herd.times.push(ms)
        herd.requests.push(requests)
      })
    }
  }
  return herds
}

/** One herd in this process. */
async function stampede(
  context: Context,
  { prefix, client }: Entrant,
  path: string,
  callers: number,
): Promise<{ ms: number; requests: number }> {
  const url = `${context.origin.url}${prefix}text/${BYTES}/${path}`
  const before = await context.origin.count(prefix)
  const started = performance.now()
  const bodies = await Promise.all(Array.from({ length: callers }, () => client.text(url)))
  const ms = performance.now() - started
  if (bodies.some((body) => body.length !== BYTES)) throw new Error('a caller got another body')
  return { ms, requests: (await context.origin.count(prefix)) - before }
}
