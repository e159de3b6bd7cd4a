import { CASES, caseTable, eachBackend, type Part } from '../lib/backends.ts'
import { timeCell } from '../lib/hits.ts'
import { raceMisses, type Misses } from '../lib/misses.ts'
import { ratio } from '../lib/race.ts'
import type { Backend } from '../lib/services.ts'
import { times } from '../lib/stats.ts'
import type { Context, Scenario } from '../lib/types.ts'

const BARE = 'floor: fetch'

export const scenario: Scenario = {
  title: 'Miss and store, by backend',
  about:
    'Every call asks for another URL, which is stored. The bare fetch stores nothing; the floor of a backend looks there, fetches, and puts the body there by the raw client. Times are us a call, 1 or 32 calls at a time.',
  run: (context) => eachBackend(context, (backend, title) => measure(context, backend, title)),
}

async function measure(context: Context, { store }: Backend, title: string): Promise<Part> {
  const byCase = new Map<string, Misses>()
  for (const { name, size, concurrency } of CASES) {
    const options = { stores: [store], floors: ['none', store] as const, bytes: size[1], concurrency }
    byCase.set(name, await raceMisses(context, options))
  }
  const all = [...byCase.values()]
  const labels = [...new Set(all.flatMap(({ results }) => [...results.keys()]))]
  const isUnstored = (label: string): boolean => all.some(({ unstored }) => unstored.has(label))
  const table = caseTable(
    title,
    labels,
    ['us (p95)', 'of fetch'],
    (label, { name }) => {
      const results = byCase.get(name)?.results
      return [timeCell(results?.get(label)), times(ratio(results?.get(label), results?.get(BARE)))]
    },
    (label) => (isUnstored(label) ? `${label} (**not stored**)` : label),
  )
  return { tables: [table], notes: all.flatMap(({ notes }) => notes) }
}
