/** The race of misses: every call asks for another URL, so that what storing costs shows. */
import { attempt, enter, failuresOf, leave, notesOf, type Entrant } from './entrants.ts'
import { race, type RaceOptions, type Result } from './race.ts'
import type { Context, StoreKind } from './types.ts'

export interface MissOptions {
  /** Stores of the contenders. */
  readonly stores: readonly StoreKind[]
  /** Stores of the floors: 'none' are those without a cache. */
  readonly floors: readonly StoreKind[]
  readonly bytes: number
  readonly concurrency: number
}

export interface Misses {
  /** By label. */
  readonly results: ReadonlyMap<string, Result>
  /** Labels of those that ask the origin again for what they just had: what they did was not storing. */
  readonly unstored: ReadonlySet<string>
  readonly notes: readonly string[]
}

export async function raceMisses(
  context: Context,
  { stores, floors, bytes, concurrency }: MissOptions,
): Promise<Misses> {
  const entrants = await enter(context, stores, floors)
  const urlOf = ({ prefix }: Entrant, i: number): string => `${context.origin.url}${prefix}text/${bytes}/${i}`
  const subjects = entrants.map((entrant) => ({
    label: entrant.label,
    call: (i: number) => entrant.client.arrayBuffer(urlOf(entrant, i)),
  }))
  const asked = (): Promise<number[]> => Promise.all(entrants.map(({ prefix }) => context.origin.count(prefix)))
  const before = await asked()
  const results = new Map(await race(subjects, { ...timing(context), concurrency }))
  for (const [i, after] of (await asked()).entries()) {
    const entrant = entrants[i]
    if (entrant === undefined) continue
    const found = results.get(entrant.label)
    const requests = after - (before[i] ?? 0)
    entrant.failure ??= found?.failure ?? null
    if (found?.calls !== requests) entrant.failure ??= `${found?.calls} calls were ${requests} requests at the origin`
  }
  const unstored = new Set<string>()
  for (const entrant of entrants.filter(({ store }) => store !== 'none'))
    await attempt(entrant, async () => {
      const calls = results.get(entrant.label)?.calls ?? 0
      const last = Array.from({ length: Math.min(calls, 10) }, (_, i) => urlOf(entrant, calls - 1 - i))
      if (await asksAgain(context, entrant, last)) unstored.add(entrant.label)
    })
  for (const { label, failure } of entrants) {
    const found = results.get(label)
    if (failure !== null && found !== undefined) results.set(label, { ...found, failure })
  }
  await leave(entrants, context.log)
  const where = `${bytes} bytes x${concurrency}`
  return { results, unstored, notes: [...notesOf(entrants), ...failuresOf(entrants, where)] }
}

/** Whoever stores in this process leaves all of it behind: the next does not pay for sorting that out. */
function timing({ quick }: Context): Omit<RaceOptions, 'concurrency'> {
  const collect = 'turn'
  return quick ? { rounds: 3, turn: 25, warmUp: 50, collect } : { rounds: 9, turn: 60, warmUp: 200, collect }
}

/** Whether the origin hears of it when these are asked for again. */
async function asksAgain(context: Context, { prefix, client }: Entrant, urls: readonly string[]): Promise<boolean> {
  const before = await context.origin.count(prefix)
  for (const url of urls) await client.arrayBuffer(url)
  return (await context.origin.count(prefix)) > before
}
