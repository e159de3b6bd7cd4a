import { FAILS } from '../lib/attempt.ts'
import { eachBackend, type Part } from '../lib/backends.ts'
import { enter, failuresOf, labelOf, leave } from '../lib/entrants.ts'
import { sharedHerd, type SharedHerd } from '../lib/herd-processes.ts'
import { raceHerds, type Herd } from '../lib/herd.ts'
import { isServer, serverOf, type Backend } from '../lib/services.ts'
import { digits, median } from '../lib/stats.ts'
import type { Cell, Context, LoadedContender, Scenario, StoreKind, Target } from '../lib/types.ts'

const CALLERS = 1000
const PROCESSES = 4
const DELAY = 200
/** Where the store is no server, processes collapse together only if they are told to. */
const ACROSS = "keepfresh, singleFlight: 'store'"

export const scenario: Scenario = {
  title: 'Herd, by backend',
  about: `${CALLERS} callers ask for the same cold URL at once and read the body (1 KB of text): in one process, then in ${PROCESSES} processes that share the store, ${CALLERS / PROCESSES} in each. The origin takes ${DELAY} ms to answer.`,
  run: (context) => eachBackend(context, (backend, title) => measure(context, backend, title)),
}

async function measure(context: Context, backend: Backend, title: string): Promise<Part> {
  const { store } = backend
  const rounds = context.quick ? 1 : 3
  const entrants = await enter(context, [store], [])
  const alone = await raceHerds(context, entrants, { callers: CALLERS, delay: DELAY, rounds, warmUps: 1 })
  await leave(entrants, context.log)
  const notes = failuresOf(entrants, 'herd in one process')
  const shared = new Map<string, SharedHerd>()
  for (const contender of context.contenders.filter(({ stores }) => stores.includes(store))) {
    const herd = await inProcesses(context, contender, store, rounds, shared.size)
    const label = labelOf(contender, store)
    shared.set(label, herd)
    if (herd.failure !== null) notes.push(`${label}, herd in ${PROCESSES} processes: fails: ${herd.failure}`)
  }
  const columns = ['contender', 'at the origin, 1 process', 'ms', `at the origin, ${PROCESSES} processes`, 'ms']
  const rows = alone.map(({ entrant, ...herd }): Cell[] => {
    const first = cells({ ...herd, failure: entrant.failure })
    return [entrant.label, ...first, ...cells(shared.get(entrant.label))]
  })
  const ours = isServer(store) ? `keepfresh, ${store}` : `${ACROSS}, ${store}`
  const targets = goals(
    backend,
    alone.find(({ entrant }) => entrant.label === ours),
    shared.get(ours),
  )
  return { tables: [{ title, columns, rows }], targets, notes }
}

function inProcesses(
  context: Context,
  { module }: LoadedContender,
  store: StoreKind,
  rounds: number,
  number: number,
): Promise<SharedHerd> {
  const callers = CALLERS / PROCESSES
  const prefix = `/${store}${number}/`
  const where = { module, store, dir: context.tmp(), server: serverOf(store) ?? '' }
  return sharedHerd(context, { ...where, callers, processes: PROCESSES, delay: DELAY, rounds, prefix })
}

function cells(herd: SharedHerd | undefined): Cell[] {
  if (herd === undefined) return ['-', '-']
  if (herd.failure !== null) return [FAILS, '-']
  return [String(Math.max(...herd.requests)), digits(median(herd.times))]
}

function goals({ title }: Backend, alone: Herd | undefined, shared: SharedHerd | undefined): Target[] {
  const most = (requests: readonly number[] = [Number.NaN]): number => Math.max(...requests)
  return [
    {
      what: `${title}: requests at the origin, 1 process`,
      sense: 'at most',
      limit: 1,
      got: most(alone?.requests),
      unit: '',
    },
    {
      what: `${title}: requests at the origin, ${PROCESSES} processes`,
      sense: 'at most',
      limit: 1,
      got: most(shared?.requests),
      unit: '',
    },
  ]
}
