import { FAILS } from '../lib/attempt.ts'
import { enter, failuresOf, leave } from '../lib/entrants.ts'
import { raceHerds } from '../lib/herd.ts'
import { digits, median, times } from '../lib/stats.ts'
import type { Cell, Scenario } from '../lib/types.ts'

const CALLERS = 1000
const DELAY = 200
const OURS = 'keepfresh, memory'

export const scenario: Scenario = {
  title: 'Herd',
  about: `${CALLERS} callers ask for the same cold URL at once and read the body (1 KB of text); the origin takes ${DELAY} ms to answer.`,
  async run(context) {
    // make-fetch-happen alone takes 13 s: it never has more than 15 connections.
    const entrants = await enter(context, context.quick ? ['memory'] : ['memory', 'file'], ['none'])
    const [rounds, warmUps] = context.quick ? [2, 1] : [4, 3]
    const herds = await raceHerds(context, entrants, { callers: CALLERS, delay: DELAY, rounds, warmUps })
    await leave(entrants, context.log)
    const ours = herds.find(({ entrant }) => entrant.label === OURS)
    const ourTime = median(ours?.times ?? [])
    const rows = herds.map(({ entrant, times: ms, requests }): Cell[] => {
      if (entrant.failure !== null) return [entrant.label, FAILS, '-', '-', '-']
      const [typical, worst] = [median(ms), Math.max(...ms)]
      return [entrant.label, String(Math.max(...requests)), digits(typical), digits(worst), times(typical / ourTime)]
    })
    const columns = ['contender', 'requests at the origin', 'all answered after, ms', 'slowest round, ms', `of ${OURS}`]
    const asked = Math.max(...(ours?.requests ?? [Number.NaN]))
    return {
      tables: [{ title: `${CALLERS} at once`, columns, rows }],
      targets: [
        { what: 'requests at the origin', sense: 'at most', limit: 1, got: asked, unit: '' },
        { what: 'all answered after', sense: 'at most', limit: 220, got: ourTime, unit: ' ms' },
      ],
      notes: failuresOf(entrants, 'herd'),
    }
  },
}
