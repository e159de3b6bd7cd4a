import { enter, leave, notesOf, type Entrant } from '../lib/entrants.ts'
import { SIZES } from '../lib/hits.ts'
import { race, ratio, type Result } from '../lib/race.ts'
import { digits, times } from '../lib/stats.ts'
import type { Context, Scenario, Table, Target } from '../lib/types.ts'

const FLOOR = 'floor: fetch'
const MEMORY = 'keepfresh, memory'
const SQLITE = 'keepfresh, sqlite'

/** By label. */
type Results = ReadonlyMap<string, Result>

export const scenario: Scenario = {
  title: 'Miss',
  about:
    'Every call asks for another URL and reads the body as bytes: what storing adds to a request. The origin is a Node server on the same machine, so that the network costs next to nothing.',
  async run(context) {
    const tables: Table[] = []
    const targets: Target[] = []
    let notes: string[] = []
    for (const [size, bytes] of SIZES) {
      for (const concurrency of [1, 32]) {
        context.log(`  ${size} x${concurrency}`)
        const entrants = await enter(context, ['memory', 'sqlite', 'disk'], ['none'])
        const results = await raceMisses(context, entrants, bytes, concurrency)
        const unstored = await findUnstored(context, entrants, bytes, results)
        await leave(entrants)
        notes = notesOf(entrants)
        tables.push(tableOf(`${size}, ${concurrency} at a time`, results, unstored))
        targets.push(goal(size, concurrency, MEMORY, results), goal(size, concurrency, SQLITE, results))
      }
    }
    return { tables, targets, notes }
  },
}

function urlOf(context: Context, { prefix }: Entrant, bytes: number, i: number): string {
  return `${context.origin.url}${prefix}text/${bytes}/${i}`
}

async function raceMisses(
  context: Context,
  entrants: readonly Entrant[],
  bytes: number,
  concurrency: number,
): Promise<Results> {
  const subjects = entrants.map((entrant) => ({
    label: entrant.label,
    call: (i: number) => entrant.client.arrayBuffer(urlOf(context, entrant, bytes, i)),
  }))
  const timing = context.quick ? { rounds: 3, turn: 25, warmUp: 50 } : { rounds: 9, turn: 60, warmUp: 200 }
  const asked = (): Promise<number[]> => Promise.all(entrants.map(({ prefix }) => context.origin.count(prefix)))
  const before = await asked()
  const results = await race(subjects, { ...timing, concurrency })
  for (const [i, after] of (await asked()).entries()) {
    const { label = '' } = entrants[i] ?? {}
    const [calls, requests] = [results.get(label)?.calls, after - (before[i] ?? 0)]
    if (calls !== requests) throw new Error(`${label}: ${calls} calls were ${requests} requests at the origin`)
  }
  return results
}

/** Asks again for some of the last URLs: the labels of those that go to the origin again, so that what they did was not storing. */
async function findUnstored(
  context: Context,
  entrants: readonly Entrant[],
  bytes: number,
  results: Results,
): Promise<Set<string>> {
  const unstored = new Set<string>()
  for (const entrant of entrants.filter(({ store }) => store !== 'none')) {
    const { label, prefix, client } = entrant
    const before = await context.origin.count(prefix)
    const calls = results.get(label)?.calls ?? 0
    for (let i = 1; i <= 10; i++) await client.arrayBuffer(urlOf(context, entrant, bytes, calls - i))
    if ((await context.origin.count(prefix)) > before) unstored.add(label)
  }
  return unstored
}

function tableOf(title: string, results: Results, unstored: ReadonlySet<string>): Table {
  const rows = [...results.values()].map((result) => [
    unstored.has(result.label) ? `${result.label} (**not stored**)` : result.label,
    `${digits(result.median)} (${digits(result.p95)})`,
    times(ratio(result, results.get(FLOOR))),
    times(ratio(result, results.get(MEMORY))),
  ])
  return { title, columns: ['contender', 'us (p95)', 'of fetch', `of ${MEMORY}`], rows }
}

function goal(size: string, concurrency: number, label: string, results: Results): Target {
  const got = ratio(results.get(label), results.get(FLOOR))
  return {
    what: `${size}, ${concurrency} at a time: ${label}, of fetch`,
    sense: 'at most',
    limit: 1.15,
    got,
    unit: 'x',
  }
}
