/** Hits, misses, a herd and many keys at once, on caches in memory. */
import { race, type Result, type Subject } from '../lib/race.ts'
import { digits } from '../lib/stats.ts'
import type { Report, Table, Target } from '../lib/types.ts'
import { contenders } from './contenders.ts'
import { enter, failuresOf, fill, KEYS, ratioOf, tableOf, timing, type Entrant, type Section } from './entrants.ts'

const HERD = 1000
const MANY = 100
const PEER = 'lru-cache fetch'
const OURS = 'keepfresh memoize'
const BASES = ['Map', PEER, OURS]

const ABOUT = 'Times are us a call; ratios are medians of the ratios within a round.'

export const memorySections: Readonly<Record<string, Section>> = {
  'functions-hit': { title: 'Functions: hit', about: `1,000 keys in memory. ${ABOUT}`, run: hits },
  'functions-miss': { title: 'Functions: miss', about: `Every call is for a new key. ${ABOUT}`, run: misses },
  'functions-herd': {
    title: 'Functions: a herd',
    about: `${HERD} calls at once for one new key; a time is that of the whole herd.`,
    run: herd,
  },
  'functions-many': {
    title: 'Functions: many keys',
    about: `${MANY} keys at once, all of them hits; a time is that of all keys.`,
    run: many,
  },
}

async function hits(quick: boolean): Promise<Report> {
  const [tables, targets, notes]: [Table[], Target[], string[]] = [[], [], []]
  for (const concurrency of [1, 32]) {
    const { entrants, notes: absent } = await enter(contenders)
    for (const entrant of entrants) await fill(entrant)
    const before = entrants.map(({ loads }) => loads.count)
    const call =
      ({ cache }: Entrant) =>
      (i: number) =>
        cache.get(KEYS[i % KEYS.length] ?? '')
    const results = await race(
      entrants.map((entrant): Subject => ({ label: entrant.label, call: call(entrant) })),
      timing(quick, concurrency),
    )
    const missed = entrants.filter(({ loads }, index) => loads.count !== before[index])
    tables.push(tableOf(`${concurrency} at a time`, results, BASES))
    notes.push(...absent, ...failuresOf(results, 'hit'))
    notes.push(...missed.map(({ label }) => `${label} called the function during the measurement: these are no hits.`))
    if (concurrency === 1) targets.push(...hitGoals(results))
  }
  return { tables, targets, notes: [...new Set(notes)] }
}

function hitGoals(results: ReadonlyMap<string, Result>): Target[] {
  const least = (peer: string, limit: number): Target => {
    const got = ratioOf(results, peer, OURS)
    return { what: `hit, ${peer}, of ${OURS}`, sense: 'at least', limit, got, unit: 'x' }
  }
  const got = ratioOf(results, OURS, PEER)
  return [
    { what: `hit, ${OURS}, of ${PEER}`, sense: 'at most', limit: 2, got, unit: 'x' },
    least('async-cache-dedupe', 3),
    least('bentocache', 10),
    least('cacheable', 30),
  ]
}

async function misses(quick: boolean): Promise<Report> {
  const [tables, notes]: [Table[], string[]] = [[], []]
  for (const concurrency of [1, 32]) {
    const { entrants, notes: absent } = await enter(contenders)
    const subjects = entrants.map(({ label, cache }): Subject => ({ label, call: (i) => cache.get(`new:${i}`) }))
    const results = await race(subjects, timing(quick, concurrency))
    tables.push(tableOf(`${concurrency} at a time`, results, BASES))
    notes.push(...absent, ...failuresOf(results, 'miss'))
  }
  return { tables, targets: [], notes: [...new Set(notes)] }
}

async function herd(quick: boolean): Promise<Report> {
  const { entrants, notes } = await enter(contenders)
  const subjects = entrants.map(({ label, cache }) => ({
    label,
    call: (i: number) => Promise.all(Array.from({ length: HERD }, () => cache.get(`herd:${i}`))),
  }))
  const results = await race(subjects, timing(quick, 1))
  const callsOf = ({ label, loads }: Entrant): number => loads.count / (results.get(label)?.calls ?? Number.NaN)
  const { title, columns, rows } = tableOf(`${HERD} calls`, results, BASES)
  const calls = new Map(entrants.map((entrant) => [entrant.label, digits(callsOf(entrant))]))
  const table = {
    title,
    columns: [...columns, 'calls of the function'],
    rows: rows.map((row) => [...row, calls.get(String(row[0])) ?? '-']),
  }
  const ours = entrants.find(({ label }) => label === OURS)
  const got = ours === undefined ? Number.NaN : callsOf(ours)
  const goal: Target = { what: 'calls of the function a herd, 1 process', sense: 'at most', limit: 1, got, unit: '' }
  return { tables: [table], targets: [goal], notes: [...notes, ...failuresOf(results, 'herd')] }
}

async function many(quick: boolean): Promise<Report> {
  const { entrants, notes } = await enter(contenders)
  const able = entrants.filter(({ cache }) => cache.getMany !== null)
  for (const entrant of able) await fill(entrant)
  const keys = KEYS.slice(0, MANY)
  const subjects = able.map(({ label, cache }) => ({ label, call: () => cache.getMany?.(keys) ?? Promise.resolve() }))
  const results = await race(subjects, timing(quick, 1))
  return {
    tables: [tableOf(`${MANY} keys`, results, ['Map', OURS])],
    targets: [],
    notes: [...notes, ...failuresOf(results, 'many')],
  }
}
