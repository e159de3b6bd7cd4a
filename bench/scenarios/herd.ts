import { enter, leave, type Entrant } from '../lib/entrants.ts'
import { digits, median, times } from '../lib/stats.ts'
import type { Context, Scenario } from '../lib/types.ts'

const CALLERS = 1000
const DELAY = 200
/** Whoever takes longer, in ms, is asked once. */
const SLOW = 2000
const OURS = 'keepfresh, memory'

interface Outcome {
  readonly entrant: Entrant
  /** ms until the last caller has its body; one of each round. */
  readonly times: number[]
  readonly requests: number[]
}

export const scenario: Scenario = {
  title: 'Herd',
  about: `${CALLERS} callers ask for the same cold URL at once and read the body (1 KB of text); the origin takes ${DELAY} ms to answer.`,
  async run(context) {
    // make-fetch-happen alone takes 13 s: it never has more than 15 connections.
    const entrants = await enter(context, context.quick ? ['memory'] : ['memory', 'disk'], ['none'])
    const outcomes = entrants.map((entrant): Outcome => ({ entrant, times: [], requests: [] }))
    for (const entrant of entrants) {
      context.log(`  warming up ${entrant.label}`)
      // The same without the delay: code is compiled and connections are there.
      for (let i = 0; i < (context.quick ? 1 : 3); i++) await herd(context, entrant, `warm-up-${i}`, 0)
    }
    for (let round = 0; round < (context.quick ? 2 : 4); round++) {
      for (let i = 0; i < outcomes.length; i++) {
        const outcome = outcomes[(i + round) % outcomes.length]
        if (outcome === undefined || Math.max(...outcome.times) > SLOW) continue
        globalThis.gc?.()
        const { ms, requests } = await herd(context, outcome.entrant, `round-${round}`, DELAY)
        outcome.times.push(ms)
        outcome.requests.push(requests)
      }
    }
    await leave(entrants)
    const ours = outcomes.find(({ entrant }) => entrant.label === OURS)
    const ourTime = median(ours?.times ?? [])
    const rows = outcomes.map(({ entrant, times: ms, requests }) => [
      entrant.label,
      String(Math.max(...requests)),
      digits(median(ms)),
      digits(Math.max(...ms)),
      times(median(ms) / ourTime),
    ])
    const columns = ['contender', 'requests at the origin', 'all answered after, ms', 'slowest round, ms', `of ${OURS}`]
    return {
      tables: [{ title: `${CALLERS} at once`, columns, rows }],
      targets: [
        {
          what: 'requests at the origin',
          sense: 'at most',
          limit: 1,
          got: Math.max(...(ours?.requests ?? [Number.NaN])),
          unit: '',
        },
        { what: 'all answered after', sense: 'at most', limit: 220, got: ourTime, unit: ' ms' },
      ],
      notes: [],
    }
  },
}

async function herd(
  context: Context,
  { prefix, client }: Entrant,
  name: string,
  delay: number,
): Promise<{ ms: number; requests: number }> {
  const url = `${context.origin.url}${prefix}text/1024/${name}?delay=${delay}`
  const before = await context.origin.count(prefix)
  const started = performance.now()
  const bodies = await Promise.all(Array.from({ length: CALLERS }, () => client.text(url)))
  const ms = performance.now() - started
  if (bodies.some((body) => body.length !== 1024)) throw new Error('a caller got another body')
  return { ms, requests: (await context.origin.count(prefix)) - before }
}
