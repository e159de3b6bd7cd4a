/** What a cache of values holds under a key, whichever way it is stored, and what that is worth at a given instant. */
import { NEVER, type MaybePromise } from '../engine/ports.ts'

/** A key as the table in memory has it: the canonical text, or a number as it is (see argument-key.ts). */
export type Id = string | number

/** A value (or an error, where errors are kept) with its terms. Instants are ms since the epoch; NEVER where there is none. */
export interface Draft<K, V> {
  readonly key: K
  /** The call failed: `error` is kept in place of a value. */
  readonly failed: boolean
  readonly value: V | undefined
  readonly error: unknown
  /** When the function was called: what was invalidated since then must not be believed (RELIABILITY 65). */
  readonly askedAt: number
  readonly createdAt: number
  readonly freshUntil: number
  /** How long the function took, in ms. */
  readonly took: number
  readonly tags: readonly string[]
}

/** Why a value was not kept. */
export type Refusal =
  | 'ttl'
  | 'filter'
  | 'too-quick'
  | 'write-off'
  | 'invalidated'
  | 'lease-lost'
  | 'too-large'
  | 'not-storable'
  | 'option-failed'
  | 'closed'
  | 'store-failed'

export type InvalidateMode = 'delete' | 'stale'

/** Where entries are: the table in memory, or a store. */
export interface Keeper<K, V> {
  /** What is there, with what tags make of it: nothing where they deleted it. */
  find(id: Id): MaybePromise<Draft<K, V> | undefined>
  /** As find, for each of them, in their order. */
  findMany(ids: readonly Id[]): MaybePromise<readonly (Draft<K, V> | undefined)[]>
  /** As find, but it counts for no use of the entry. */
  peek(id: Id): MaybePromise<Draft<K, V> | undefined>
  /** Null where it was kept. `over`: there may be an older value; where this one is refused, that one goes all the same. */
  put(id: Id, draft: Draft<K, V>, keepUntil: number, over: boolean): MaybePromise<Refusal | null>
  /** How many there were. */
  drop(ids: readonly Id[]): MaybePromise<number>
  invalidateTags(tags: readonly string[], mode: InvalidateMode, at: number): MaybePromise<void>
  entries(): AsyncIterable<Draft<K, V>>
  /** Removes what is of no use any more; how many. */
  deleteExpired(): MaybePromise<number>
  clear(at: number): MaybePromise<void>
  close(): MaybePromise<void>
}

/** How long stale values are of use, in ms past their freshness, and how early fresh ones are renewed. */
export interface Windows {
  readonly whileRevalidate: number
  readonly ifError: number
  /** Renew in the background once this share of the lifetime is over; 1: never. */
  readonly refreshAhead: number
  /** XFetch: renew at random, the likelier the nearer the end and the slower the function; 0: never. */
  readonly beta: number
}

/** fresh: answer. early: answer and renew. stale: answer and renew. spare: of use only where the function fails. gone: of none. */
export type Verdict = 'fresh' | 'early' | 'stale' | 'spare' | 'gone'

/** Past so many times `beta * took` before the end, the odds of an early renewal are below e^-20. */
const XFETCH_REACH = 20

/** Until when a hit needs no thought: fresh, no renewal due. -Infinity for what always needs some. */
export function plainUntil(
  entry: Pick<Draft<unknown, unknown>, 'failed' | 'freshUntil' | 'createdAt' | 'took'>,
  windows: Windows,
): number {
  const { freshUntil, createdAt } = entry
  if (entry.failed) return -Infinity
  if (freshUntil >= NEVER) return Infinity
  if (windows.beta > 0) return freshUntil - XFETCH_REACH * windows.beta * entry.took
  return windows.refreshAhead < 1 ? createdAt + (freshUntil - createdAt) * windows.refreshAhead : freshUntil
}

/** `random`: uniform in [0, 1), for XFetch (Vattani, Chierichetti and Lowenstein 2015). */
export function judge(entry: Draft<unknown, unknown>, now: number, windows: Windows, random: () => number): Verdict {
  const { freshUntil, failed } = entry
  if (now < freshUntil) {
    if (failed || now < plainUntil(entry, windows)) return 'fresh'
    if (windows.beta === 0) return 'early'
    return now - entry.took * windows.beta * Math.log(1 - random()) >= freshUntil ? 'early' : 'fresh'
  }
  if (failed) return 'gone'
  if (now < freshUntil + windows.whileRevalidate) return 'stale'
  return now < freshUntil + windows.ifError ? 'spare' : 'gone'
}

/** From when on an entry is of no use to anyone. */
export function keepUntil(draft: Pick<Draft<unknown, unknown>, 'failed' | 'freshUntil'>, windows: Windows): number {
  if (draft.failed) return draft.freshUntil
  return Math.min(NEVER, draft.freshUntil + Math.max(windows.whileRevalidate, windows.ifError))
}
