import { SIZES, timeCell } from '../lib/hits.ts'
import { raceMisses, type Misses } from '../lib/misses.ts'
import { ratio } from '../lib/race.ts'
import { times } from '../lib/stats.ts'
import type { Scenario, Table, Target } from '../lib/types.ts'

const FLOOR = 'floor: fetch'
const MEMORY = 'keepfresh, memory'
const SQLITE = 'keepfresh, sqlite'
const INSERT = 'floor: prepared SELECT + minimal object'

export const scenario: Scenario = {
  title: 'Miss',
  about:
    'Every call asks for another URL and reads the body as bytes: what storing adds to a request. The origin is a Node server on the same machine, so that the network costs next to nothing. The floors with a Map look there, fetch, and keep what came, and those with a SELECT do so in an SQLite file, with one prepared INSERT: storing costs no less.',
  async run(context) {
    const tables: Table[] = []
    const targets: Target[] = []
    const notes = new Set<string>()
    for (const [size, bytes] of SIZES) {
      for (const concurrency of [1, 32]) {
        context.log(`  ${size} x${concurrency}`)
        const stores = ['memory', 'sqlite', 'file'] as const
        const misses = await raceMisses(context, {
          stores,
          floors: ['none', 'memory', 'sqlite'] as const,
          bytes,
          concurrency,
        })
        for (const note of misses.notes) notes.add(note)
        tables.push(tableOf(`${size}, ${concurrency} at a time`, misses))
        targets.push(goal(size, concurrency, MEMORY, misses), goal(size, concurrency, SQLITE, misses))
      }
    }
    return { tables, targets, notes: [...notes] }
  },
}

function tableOf(title: string, { results, unstored }: Misses): Table {
  const rows = [...results.values()].map((result) => [
    unstored.has(result.label) ? `${result.label} (**not stored**)` : result.label,
    timeCell(result),
    times(ratio(result, results.get(FLOOR))),
    times(ratio(result, results.get(MEMORY))),
    times(ratio(result, results.get(INSERT))),
  ])
  return { title, columns: ['contender', 'us (p95)', 'of fetch', `of ${MEMORY}`, 'of SELECT, fetch, INSERT'], rows }
}

function goal(size: string, concurrency: number, label: string, { results }: Misses): Target {
  const got = ratio(results.get(label), results.get(FLOOR))
  return {
    what: `${size}, ${concurrency} at a time: ${label}, of fetch`,
    sense: 'at most',
    limit: 1.15,
    got,
    unit: 'x',
  }
}
