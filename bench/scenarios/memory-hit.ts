import { bodyFor } from '../lib/bodies.ts'
import { caseName, hitTables, raceHits, type Results } from '../lib/hits.ts'
import { ratio } from '../lib/race.ts'
import type { Scenario, Shape, Target } from '../lib/types.ts'

const FLOOR = 'floor: Map + minimal object'
const PARSE = 'floor: JSON.parse of a string'
const OURS = 'keepfresh, memory'

export const scenario: Scenario = {
  title: 'Memory hit',
  about:
    '32 URLs (16 with `--quick`) are stored, then asked for again and again. A call is the request and the reading of its body. The origin is asked nothing while the clock runs.',
  async run(context) {
    const hits = await raceHits(context, {
      stores: ['memory'],
      extra: (shape, bytes) => (shape === 'json' ? [parse(bytes)] : []),
    })
    return { tables: hitTables(hits, FLOOR, OURS), targets: goals(hits.results), notes: hits.notes }
  },
}

function parse(bytes: number): { label: string; call(): Promise<unknown> } {
  const text = bodyFor('json', bytes).toString()
  return { label: PARSE, call: async () => JSON.parse(text) }
}

function goals(results: Results): Target[] {
  const of = (a: string, b: string, size: string, shape: Shape, concurrency: number): number => {
    const found = results.get(caseName(size, shape, concurrency))
    const [first] = [...(found?.keys() ?? [])].filter((label) => label.startsWith(a))
    const [second] = [...(found?.keys() ?? [])].filter((label) => label.startsWith(b))
    return ratio(found?.get(first ?? ''), found?.get(second ?? ''))
  }
  return [
    most('1 KB text, of the floor', 2.2, of(OURS, FLOOR, '1 KB', 'text', 1)),
    most('64 KB text, of the floor', 1.7, of(OURS, FLOOR, '64 KB', 'text', 1)),
    most('64 KB JSON, of JSON.parse', 1.15, of(OURS, PARSE, '64 KB', 'json', 1)),
    least('1 KB text, undici.request, 1 at a time', 8, of('undici.request', OURS, '1 KB', 'text', 1)),
    least('1 KB text, undici.fetch, 1 at a time', 20, of('undici.fetch', OURS, '1 KB', 'text', 1)),
    least('1 KB text, undici.request, 32 at a time', 4, of('undici.request', OURS, '1 KB', 'text', 32)),
    least('1 KB text, undici.fetch, 32 at a time', 10, of('undici.fetch', OURS, '1 KB', 'text', 32)),
  ]
}

function most(what: string, limit: number, got: number): Target {
  return { what, sense: 'at most', limit, got, unit: 'x' }
}

function least(what: string, limit: number, got: number): Target {
  return { what, sense: 'at least', limit, got, unit: 'x' }
}
