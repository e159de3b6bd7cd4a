import { CASES, caseTable, eachBackend, type Case, type Part } from '../lib/backends.ts'
import { caseName, labelsOf, markMisses, raceHits, timeCell, type Hits } from '../lib/hits.ts'
import { ratio, type Result } from '../lib/race.ts'
import type { Backend } from '../lib/services.ts'
import { times } from '../lib/stats.ts'
import type { Context, Scenario, Target } from '../lib/types.ts'

const SIZES = CASES.filter(({ concurrency }) => concurrency === 1).map(({ size }) => size)

/** How many times the floor a hit may take, one at a time and 32 at a time; null: the goal is a time. */
const LIMITS: Readonly<Record<string, { one: number; wide: number | null }>> = {
  sqlite: { one: 1.5, wide: 1.5 },
  file: { one: 1.2, wide: 1.2 },
  redis: { one: 1.25, wide: null },
  mongodb: { one: 1.3, wide: 1.3 },
  dynamodb: { one: 1.3, wide: 1.3 },
  memcached: { one: 1.3, wide: 1.3 },
}

/** The clients that others use there, where the floor is less than any client: a hit is measured by the quickest of them, too. */
const CLIENTS: Readonly<Record<string, { floors: readonly string[]; limit: number }>> = {
  memcached: { floors: ['floor: memjs get', 'floor: memcache get', 'floor: memcached get'], limit: 1.3 },
}

/** How long a hit may take, in us. */
const TIMES: Readonly<Record<string, { label: string; concurrency: number; limit: number }>> = {
  file: { label: 'keepfresh, file, sync: true', concurrency: 1, limit: 15 },
  redis: { label: 'keepfresh, redis', concurrency: 32, limit: 16 },
}

export const scenario: Scenario = {
  title: 'Hit, by backend',
  about:
    'A call is a request and the reading of its body as bytes, out of the store; `store.read alone` is the same without HTTP. The floor is the raw client getting one value of the same size; for Memcached, whose client is ours and joins gets of one turn, bare sockets, beside which the clients from npm stand. Times are us a call, 1 or 32 calls at a time.',
  run: (context) => eachBackend(context, (backend, title) => measure(context, backend, title)),
}

async function measure(context: Context, backend: Backend, title: string): Promise<Part> {
  const hits = await raceHits(context, {
    stores: [backend.store],
    sizes: SIZES,
    shapes: ['arrayBuffer'],
    turn: context.quick ? 25 : 100,
  })
  const table = caseTable(
    title,
    labelsOf(hits.results),
    ['us (p95)', 'of floor'],
    (label, of) => {
      const own = resultOf(hits, label, of)
      return [timeCell(own), times(ratio(own, resultOf(hits, backend.floor, of)))]
    },
    (label) => markMisses(hits, label),
  )
  return { tables: [table], targets: goals(backend, hits), notes: hits.notes }
}

function resultOf({ results }: Hits, label: string, { size, concurrency }: Case): Result | undefined {
  return results.get(caseName(size[0], 'arrayBuffer', concurrency))?.get(label)
}

/** The result of the quickest client of this backend that others use; null: there is none. */
function quickest(store: string, hits: Hits, of: Case): { result: Result; limit: number } | null {
  const known = CLIENTS[store]
  const labels = labelsOf(hits.results).filter((label) => known?.floors.some((floor) => label.startsWith(floor)))
  const results = labels.map((label) => resultOf(hits, label, of)).filter((result) => result?.failure === null)
  const [first] = results.toSorted((a, b) => (a?.median ?? 0) - (b?.median ?? 0))
  return first === undefined || known === undefined ? null : { result: first, limit: known.limit }
}

function goals({ store, title, floor }: Backend, hits: Hits): Target[] {
  const limits = LIMITS[store]
  const ours = `keepfresh, ${store}`
  const targets: Target[] = []
  for (const of of CASES.filter(({ size }) => size[1] === 1024)) {
    const limit = of.concurrency === 1 ? limits?.one : limits?.wide
    if (limit !== undefined && limit !== null) {
      const got = ratio(resultOf(hits, ours, of), resultOf(hits, floor, of))
      targets.push({ what: `${title}, ${of.name}, of the floor`, sense: 'at most', limit, got, unit: 'x' })
    }
    const client = quickest(store, hits, of)
    if (client !== null) {
      const got = ratio(resultOf(hits, ours, of), client.result)
      const what = `${title}, ${of.name}, of ${client.result.label.replace('floor: ', '')}`
      targets.push({ what, sense: 'at most', limit: client.limit, got, unit: 'x' })
    }
    const time = TIMES[store]
    if (time === undefined || time.concurrency !== of.concurrency) continue
    const got = resultOf(hits, time.label, of)?.median ?? Number.NaN
    targets.push({ what: `${time.label}, ${of.name}`, sense: 'at most', limit: time.limit, got, unit: ' us' })
  }
  return targets
}
