/** The race of hits: sizes, shapes and concurrencies over the same entrants. */
import { deepStrictEqual } from 'node:assert/strict'
import { FAILS } from './attempt.ts'
import { bodyFor } from './bodies.ts'
import { attempt, enter, failuresOf, leave, notesOf, type Entrant } from './entrants.ts'
import { race, ratio, type RaceOptions, type Result, type Subject } from './race.ts'
import { digits, times } from './stats.ts'
import type { Context, Shape, StoreKind, Table } from './types.ts'

export type Size = readonly [name: string, bytes: number]

export const SIZES: readonly Size[] = [
  ['1 KB', 1024],
  ['64 KB', 65_536],
]
export const SHAPES: readonly Shape[] = ['text', 'json', 'arrayBuffer']
export const CONCURRENCIES: readonly number[] = [1, 32]

/** So many URLs are asked in turn. */
export function urlCount({ quick }: Context): number {
  return quick ? 16 : 32
}

/** By `caseName(size, shape, concurrency)`, then by label. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, Result>>

export function caseName(size: string, shape: Shape, concurrency: number): string {
  return `${size} ${shape} x${concurrency}`
}

export interface Hits {
  readonly results: Results
  /** Labels of entrants that asked the origin during the measurement: what they did were not hits. */
  readonly misses: ReadonlyMap<string, number>
  /** What a reader must know of those who took part, and who failed at what. */
  readonly notes: readonly string[]
}

export interface HitOptions {
  readonly stores: readonly StoreKind[]
  readonly sizes?: readonly Size[]
  readonly shapes?: readonly Shape[]
  /** Rows that are no client: JSON.parse alone, say. */
  readonly extra?: (shape: Shape, bytes: number) => Subject[]
  /** What one round takes of each, in ms; by default as it fits calls that take microseconds. */
  readonly turn?: number
}

/** Fills, checks and races: every size and shape with new clients, so that what one of them leaves behind does not slow the next case. */
export async function raceHits(context: Context, options: HitOptions): Promise<Hits> {
  const { stores, sizes = SIZES, shapes = SHAPES, extra = () => [] } = options
  const results = new Map<string, Map<string, Result>>()
  const misses = new Map<string, number>()
  const notes = new Set<string>()
  for (const [size, bytes] of sizes) {
    for (const shape of shapes) {
      const entrants = await enter(context, stores)
      for (const note of notesOf(entrants)) notes.add(note)
      for (const entrant of entrants) await attempt(entrant, () => fill(context, entrant, shape, bytes))
      const subjects = [
        ...entrants.flatMap((entrant) => subjectsOf(context, entrant, shape, bytes)),
        ...extra(shape, bytes),
      ]
      const before = await counts(context, entrants)
      for (const concurrency of CONCURRENCIES) {
        const name = caseName(size, shape, concurrency)
        context.log(`  ${name}`)
        const found = await race(subjects, timing(context, options, bytes, concurrency))
        results.set(name, found)
        for (const entrant of entrants) entrant.failure ??= found.get(entrant.label)?.failure ?? null
        for (const note of failuresOf(entrants, name)) notes.add(note)
      }
      const after = await counts(context, entrants)
      await leave(entrants, context.log)
      for (const { label } of entrants)
        misses.set(label, (misses.get(label) ?? 0) + (after.get(label) ?? 0) - (before.get(label) ?? 0))
    }
  }
  return { results, misses, notes: [...notes] }
}

function timing({ quick }: Context, { turn }: HitOptions, bytes: number, concurrency: number): RaceOptions {
  const collect = bytes > 20_000 ? 'turn' : 'round'
  if (quick) return { rounds: 3, turn: turn ?? 6, concurrency, warmUp: (turn ?? 6) * 2.5, collect }
  return { rounds: 7, turn: turn ?? 20, concurrency, warmUp: (turn ?? 20) * 5, collect }
}

/** The client as it is asked for URLs and, where it can, its store alone. Who has failed has failed here, too. */
function subjectsOf(context: Context, entrant: Entrant, shape: Shape, bytes: number): Subject[] {
  const { label, failure, client } = entrant
  if (failure !== null) return [{ label, call: () => Promise.reject(new Error(failure)) }]
  const subjects: Subject[] = [{ label, call: caller(context, entrant, shape, bytes) }]
  const { stored } = client
  if (stored !== undefined) {
    const at = urls(context, entrant, shape, bytes)
    subjects.push({ label: `${label}: store.read alone`, call: (i) => stored(at(i)) })
  }
  return subjects
}

/** The i-th of the URLs, which come round. */
function urls(context: Context, { prefix }: Entrant, shape: Shape, bytes: number): (i: number) => string {
  const kind = shape === 'json' ? 'json' : 'text'
  const list = Array.from(
    { length: urlCount(context) },
    (_, i) => `${context.origin.url}${prefix}${kind}/${bytes}/${shape}/${i}`,
  )
  return (i) => list[i % list.length] ?? ''
}

function caller(context: Context, entrant: Entrant, shape: Shape, bytes: number): (i: number) => Promise<unknown> {
  const { client } = entrant
  const at = urls(context, entrant, shape, bytes)
  if (shape === 'text') return (i) => client.text(at(i))
  if (shape === 'json') return (i) => client.json(at(i))
  return (i) => client.arrayBuffer(at(i))
}

/** Stores every URL, then reads each again and compares it with what the origin sends. */
async function fill(context: Context, entrant: Entrant, shape: Shape, bytes: number): Promise<void> {
  const call = caller(context, entrant, shape, bytes)
  const expected = bodyFor(shape === 'json' ? 'json' : 'text', bytes)
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < urlCount(context); i++) check(await call(i), shape, expected)
}

function check(got: unknown, shape: Shape, expected: Buffer): void {
  try {
    if (shape === 'text') deepStrictEqual(got, expected.toString())
    else if (shape === 'json') deepStrictEqual(got, JSON.parse(expected.toString()))
    else deepStrictEqual(bytesOf(got), expected)
  } catch (error) {
    throw new Error('it answers something else than the origin sent', { cause: error })
  }
}

function bytesOf(value: unknown): Buffer {
  if (value instanceof ArrayBuffer) return Buffer.from(value)
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw new TypeError('neither an ArrayBuffer nor bytes')
}

async function counts(context: Context, entrants: readonly Entrant[]): Promise<Map<string, number>> {
  const pairs = await Promise.all(
    entrants.map(async ({ label, prefix }) => [label, await context.origin.count(prefix)] as const),
  )
  return new Map(pairs)
}

/** Every label of the results, floors first. */
export function labelsOf(results: Results): string[] {
  const found = new Set([...results.values()].flatMap((byLabel) => [...byLabel.keys()]))
  return [...found].toSorted((a, b) => Number(b.startsWith('floor')) - Number(a.startsWith('floor')))
}

/** The label, marked where the origin was asked while the clock ran. */
export function markMisses({ misses }: Hits, label: string): string {
  const asked = misses.get(label) ?? 0
  return asked > 0 ? `${label} (**${asked} requests at the origin**)` : label
}

/** Median and 95th percentile, or that there is none. */
export function timeCell(result: Result | undefined): string {
  if (result === undefined) return '-'
  return result.failure === null ? `${digits(result.median)} (${digits(result.p95)})` : FAILS
}

/** One table for each size and concurrency; every shape has its time, its ratio to `floor` and its ratio to `ours`. */
export function hitTables(hits: Hits, floor: string, ours: string): Table[] {
  const labels = labelsOf(hits.results)
  const tables: Table[] = []
  for (const [size] of SIZES) {
    for (const concurrency of CONCURRENCIES) {
      const rows = labels.map((label) => {
        const cells = SHAPES.flatMap((shape) => {
          const of = hits.results.get(caseName(size, shape, concurrency))
          const own = of?.get(label)
          return [timeCell(own), times(ratio(own, of?.get(floor))), times(ratio(own, of?.get(ours)))]
        })
        return [markMisses(hits, label), ...cells]
      })
      const columns = SHAPES.flatMap((shape) => [`${shape}, us (p95)`, 'of floor', `of ${ours}`])
      tables.push({ title: `${size}, ${concurrency} at a time`, columns: ['contender', ...columns], rows })
    }
  }
  return tables
}
