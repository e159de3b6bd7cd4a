/** Caches of async functions over Redis: hits, many keys at once, and a herd that comes in four processes. */
import { randomUUID } from 'node:crypto'
import { FAILS, messageOf } from '../lib/attempt.ts'
import { race } from '../lib/race.ts'
import { digits } from '../lib/stats.ts'
import { Team } from '../lib/team.ts'
import type { Cell, Report, Table, Target } from '../lib/types.ts'
import type { FunctionContender } from './contenders.ts'
import { enter, failuresOf, fill, KEYS, labelOf, leave, ratioOf, tableOf, timing, type Section } from './entrants.ts'
import type { HerdAnswer, HerdOrder } from './herd-process.ts'
import { BARE, memoryOverRedis, OURS_REDIS, OURS_TIERED, redisAlone } from './redis-contenders.ts'

const PROCESSES = 4
const CALLERS = 250
const DELAY = 200
const MANY = 100
const ALL = [...redisAlone, ...memoryOverRedis]

export const redisSection: Section = {
  title: 'Functions: Redis',
  about: `1,000 keys in Redis, or in Redis and in memory; times are us a call (of ${MANY} keys: of all of them), ratios are medians of the ratios within a round. The herd: ${PROCESSES} processes, each with ${CALLERS} calls at once, all for one new key; the function takes ${DELAY} ms.`,
  async run(quick, redis) {
    if (redis === null) return { tables: [], targets: [], notes: ['No Redis here, skipped.'] }
    const parts = [
      await hits('Hit in Redis', redisAlone, [BARE, OURS_REDIS], quick, redis),
      await hits('Hit in memory, Redis behind it', memoryOverRedis, [OURS_TIERED], quick, redis),
      await many(quick, redis),
      await herds(quick, redis),
    ]
    return {
      tables: parts.flatMap(({ tables }) => tables),
      targets: parts.flatMap(({ targets }) => targets),
      notes: [...new Set(parts.flatMap(({ notes }) => notes))],
    }
  },
}

async function hits(
  title: string,
  contenders: readonly FunctionContender[],
  bases: readonly string[],
  quick: boolean,
  redis: string,
): Promise<Report> {
  const [tables, targets, notes]: [Table[], Target[], string[]] = [[], [], []]
  for (const concurrency of [1, 32]) {
    const { entrants, notes: absent } = await enter(contenders, redis)
    for (const entrant of entrants) await fill(entrant)
    const subjects = entrants.map(({ label, cache }) => ({
      label,
      call: (i: number) => cache.get(KEYS[i % KEYS.length] ?? ''),
    }))
    const results = await race(subjects, timing(quick, concurrency))
    tables.push(tableOf(`${title}, ${concurrency} at a time`, results, bases))
    notes.push(...absent, ...failuresOf(results, title))
    await leave(entrants)
    if (!bases.includes(BARE) || concurrency !== 1) continue
    const got = ratioOf(results, OURS_REDIS, BARE)
    targets.push({ what: `hit in Redis, of ${BARE}`, sense: 'at most', limit: 1.2, got, unit: 'x' })
  }
  return { tables, targets, notes }
}

async function many(quick: boolean, redis: string): Promise<Report> {
  const { entrants, notes } = await enter(redisAlone, redis)
  const able = entrants.filter(({ cache }) => cache.getMany !== null)
  for (const entrant of able) await fill(entrant)
  const keys = KEYS.slice(0, MANY)
  const subjects = able.map(({ label, cache }) => ({ label, call: () => cache.getMany?.(keys) ?? Promise.resolve() }))
  const results = await race(subjects, timing(quick, 1))
  await leave(entrants)
  const table = tableOf(`${MANY} keys at once in Redis`, results, [BARE, OURS_REDIS])
  return { tables: [table], targets: [], notes: [...notes, ...failuresOf(results, 'many')] }
}

async function herds(quick: boolean, redis: string): Promise<Report> {
  const rows: Cell[][] = []
  const notes: string[] = []
  const targets: Target[] = []
  for (const { label, package: npm } of ALL) {
    const shown = labelOf(label, npm)
    try {
      const { calls, ms } = await herd({ label, where: { redis, name: `bench-${randomUUID()}` } }, quick ? 1 : 5)
      rows.push([shown, String(calls), digits(ms)])
      if (label !== OURS_REDIS && label !== OURS_TIERED) continue
      targets.push({ what: `${label}: calls of the function a herd`, sense: 'at most', limit: 1, got: calls, unit: '' })
    } catch (error) {
      rows.push([shown, FAILS, '-'])
      notes.push(`${shown}, herd: fails: ${messageOf(error)}`)
    }
  }
  const columns = ['cache', 'calls of the function', 'all answered after, ms']
  const title = `${PROCESSES} processes, ${CALLERS} calls in each`
  return { tables: [{ title, columns, rows }], targets, notes }
}

/** The most calls of the function in any round, and the slowest round. */
async function herd(
  order: Pick<HerdOrder, 'label' | 'where'>,
  rounds: number,
): Promise<{ readonly calls: number; readonly ms: number }> {
  const script = new URL('herd-process.ts', import.meta.url)
  const team = await Team.start<HerdAnswer>(script, { ...order, callers: CALLERS, delay: DELAY }, PROCESSES)
  try {
    await team.ask({ key: 'warm-up' })
    let [calls, ms] = [0, 0]
    for (let round = 0; round < rounds; round++) {
      const answers = await team.ask({ key: `round-${round}` })
      calls = Math.max(
        calls,
        answers.reduce((sum, answer) => sum + answer.calls, 0),
      )
      ms = Math.max(ms, ...answers.map((answer) => answer.ms))
    }
    await team.end()
    return { calls, ms }
  } finally {
    team.kill()
  }
}
