/** The race of hits: sizes, shapes and concurrencies over the same entrants; shared by memory-hit and sqlite-hit. */
import { deepStrictEqual } from 'node:assert/strict'
import { bodyFor } from './bodies.ts'
import { enter, leave, notesOf, type Entrant } from './entrants.ts'
import { race, ratio, type RaceOptions, type Result } from './race.ts'
import { digits, times } from './stats.ts'
import type { Context, Shape, StoreKind, Table } from './types.ts'

export const SIZES: readonly (readonly [name: string, bytes: number])[] = [
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
  /** What a reader must know of those who took part. */
  readonly notes: readonly string[]
}

/**
 * Fills, checks and races: every size and shape with new clients, so that what one of them leaves behind does not slow the next case.
 * `extra` adds rows that are no client, such as JSON.parse alone.
 */
export async function raceHits(
  context: Context,
  stores: readonly StoreKind[],
  extra: (shape: Shape, bytes: number) => { label: string; call(): Promise<unknown> }[] = () => [],
): Promise<Hits> {
  const results = new Map<string, Map<string, Result>>()
  const misses = new Map<string, number>()
  let notes: readonly string[] = []
  for (const [size, bytes] of SIZES) {
    for (const shape of SHAPES) {
      const entrants = await enter(context, stores)
      notes = notesOf(entrants)
      const subjects = entrants.map((entrant) => ({
        label: entrant.label,
        call: caller(context, entrant, shape, bytes),
      }))
      for (const entrant of entrants) await fill(context, entrant, shape, bytes)
      const before = await counts(context, entrants)
      for (const concurrency of CONCURRENCIES) {
        context.log(`  ${caseName(size, shape, concurrency)}`)
        const collect = bytes > 10_000 ? 'turn' : 'round'
        const timing: RaceOptions = context.quick
          ? { rounds: 3, turn: 6, concurrency, warmUp: 15, collect }
          : { rounds: 7, turn: 20, concurrency, warmUp: 100, collect }
        results.set(caseName(size, shape, concurrency), await race([...subjects, ...extra(shape, bytes)], timing))
      }
      const after = await counts(context, entrants)
      await leave(entrants)
      for (const { label } of entrants)
        misses.set(label, (misses.get(label) ?? 0) + (after.get(label) ?? 0) - (before.get(label) ?? 0))
    }
  }
  return { results, misses, notes }
}

function urlOf(context: Context, entrant: Entrant, shape: Shape, bytes: number, i: number): string {
  return `${context.origin.url}${entrant.prefix}${shape === 'json' ? 'json' : 'text'}/${bytes}/${shape}/${i}`
}

function caller(context: Context, entrant: Entrant, shape: Shape, bytes: number): (i: number) => Promise<unknown> {
  const urls = Array.from({ length: urlCount(context) }, (_, i) => urlOf(context, entrant, shape, bytes, i))
  const { client } = entrant
  const at = (i: number): string => urls[i % urls.length] ?? ''
  if (shape === 'text') return (i) => client.text(at(i))
  if (shape === 'json') return (i) => client.json(at(i))
  return (i) => client.arrayBuffer(at(i))
}

/** Stores every URL, then reads each again and compares it with what the origin sends. */
async function fill(context: Context, entrant: Entrant, shape: Shape, bytes: number): Promise<void> {
  const call = caller(context, entrant, shape, bytes)
  const expected = bodyFor(shape === 'json' ? 'json' : 'text', bytes)
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < urlCount(context); i++) {
      const got = await call(i)
      if (shape === 'text') deepStrictEqual(got, expected.toString(), entrant.label)
      else if (shape === 'json') deepStrictEqual(got, JSON.parse(expected.toString()), entrant.label)
      else if (!bytesOf(got).equals(expected)) throw new Error(`${entrant.label}: other bytes than the origin's`)
    }
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

/** One table for each size and concurrency; every shape has its time, its ratio to `floor` and its ratio to `ours`. */
export function hitTables({ results, misses }: Hits, floor: string, ours: string): Table[] {
  const found = new Set([...results.values()].flatMap((byLabel) => [...byLabel.keys()]))
  const labels = [...found].toSorted((a, b) => Number(b.startsWith('floor')) - Number(a.startsWith('floor')))
  const tables: Table[] = []
  for (const [size] of SIZES) {
    for (const concurrency of CONCURRENCIES) {
      const rows = labels.map((label) => {
        const asked = misses.get(label) ?? 0
        const cells = SHAPES.flatMap((shape) => {
          const of = results.get(caseName(size, shape, concurrency))
          const own = of?.get(label)
          if (own === undefined) return ['-', '-', '-']
          const time = `${digits(own.median)} (${digits(own.p95)})`
          return [time, times(ratio(own, of?.get(floor))), times(ratio(own, of?.get(ours)))]
        })
        return [asked > 0 ? `${label} (**${asked} requests at the origin**)` : label, ...cells]
      })
      const columns = SHAPES.flatMap((shape) => [`${shape}, us (p95)`, 'of floor', `of ${ours}`])
      tables.push({ title: `${size}, ${concurrency} at a time`, columns: ['contender', ...columns], rows })
    }
  }
  return tables
}
