import { enter, leave, type Entrant } from '../lib/entrants.ts'
import { race, ratio, type Result } from '../lib/race.ts'
import { digits, times } from '../lib/stats.ts'
import { SIZES } from '../lib/hits.ts'
import type { Cell, Context, Scenario, Table, Target } from '../lib/types.ts'

const FLOOR = 'floor: fetch'
const OURS = ['keepfresh, memory', 'keepfresh, sqlite']

export const scenario: Scenario = {
  title: 'Miss',
  about:
    'Every call asks for another URL and reads the body as bytes: what storing adds to a request. The origin is a Node server on this machine, so that the network costs next to nothing.',
  async run(context) {
    const tables: Table[] = []
    const targets: Target[] = []
    for (const [size, bytes] of SIZES) {
      for (const concurrency of [1, 32]) {
        context.log(`  ${size} x${concurrency}`)
        const entrants = await enter(context, ['memory', 'sqlite', 'disk'], ['none'])
        const results = await raceMisses(context, entrants, bytes, concurrency)
        const unstored = await findUnstored(context, entrants, bytes, results)
        await leave(entrants)
        tables.push(tableOf(`${size}, ${concurrency} at a time`, entrants, results, unstored))
        if (concurrency === 1) targets.push(...goals(size, results))
      }
    }
    return { tables, targets, notes: [] }
  },
}

function urlOf(context: Context, { prefix }: Entrant, bytes: number, concurrency: number, i: number): string {
  return `${context.origin.url}${prefix}text/${bytes}/${concurrency}/${i}`
}

async function raceMisses(context: Context, entrants: readonly Entrant[], bytes: number, concurrency: number): Promise<Map<string, Result>> {
  const subjects = entrants.map((entrant) => ({
    label: entrant.label,
    call: (i: number) => entrant.client.arrayBuffer(urlOf(context, entrant, bytes, concurrency, i)),
  }))
  const timing = context.quick ? { rounds: 3, turn: 30, warmUp: 60 } : { rounds: 7, turn: 80, warmUp: 250 }
  const before = await Promise.all(entrants.map(({ prefix }) => context.origin.count(prefix)))
  const results = await race(subjects, { ...timing, concurrency })
  for (const [i, { label, prefix }] of entrants.entries()) {
    const asked = (await context.origin.count(prefix)) - (before[i] ?? 0)
    if (asked !== results.get(label)?.calls) throw new Error(`${label}: ${results.get(label)?.calls} calls were ${asked} requests`)
  }
  return results
}

/** Asks for some of the URLs again: labels of those that ask the origin again, so that what they did was no storing. */
async function findUnstored(
  context: Context,
  entrants: readonly Entrant[],
  bytes: number,
  results: ReadonlyMap<string, Result>,
): Promise<Set<string>> {
  const unstored = new Set<string>()
  for (const entrant of entrants) {
    const { label, prefix, store, client } = entrant
    if (store === 'none') continue
    const before = await context.origin.count(prefix)
    const concurrency = lastConcurrency(results.get(label))
    for (let i = 1; i <= 10; i++) await client.arrayBuffer(urlOf(context, entrant, bytes, concurrency, (results.get(label)?.calls ?? 0) - i))
    if ((await context.origin.count(prefix)) > before) unstored.add(label)
  }
  return unstored
}
