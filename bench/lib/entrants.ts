/** Contenders as set up for one scenario: one entrant for each store they are asked to use. */
import { messageOf, within } from './attempt.ts'
import { version } from './machine.ts'
import { serverOf } from './services.ts'
import type { Client, Contender, Context, StoreKind } from './types.ts'

export interface Entrant {
  readonly contender: Contender
  readonly store: StoreKind
  /** Unique in the scenario. */
  readonly label: string
  /** The first segment of the paths it asks for, the same length for all: /07/. */
  readonly prefix: string
  readonly client: Client
  /** Why it is out: it threw, hung or answered wrongly. It stays in the tables. */
  failure: string | null
}

/** ms for what happens before the clock runs: setting up, filling, checking. */
const PATIENCE = 60_000

/** Sets up every contender that has one of the stores, floors first; one that throws is an entrant that has failed. */
export async function enter(
  context: Context,
  stores: readonly StoreKind[],
  floors: readonly StoreKind[] = stores,
): Promise<Entrant[]> {
  const entrants: Entrant[] = []
  const candidates: [Contender, readonly StoreKind[]][] = [
    ...context.floors.map((floor): [Contender, readonly StoreKind[]] => [floor, floors]),
    ...context.contenders.map((contender): [Contender, readonly StoreKind[]] => [contender, stores]),
  ]
  for (const [contender, kinds] of candidates) {
    for (const store of kinds.filter((kind) => contender.stores.includes(kind))) {
      const server = serverOf(store)
      if (server === null) continue
      const setup = contender.setup(context.origin.url, { store, dir: context.tmp(), server })
      const [client, failure] = await within(setup, PATIENCE).then(
        (made): [Client, null] => [made, null],
        (error: unknown): [Client, string] => [broken(error), messageOf(error)],
      )
      const prefix = `/${String(entrants.length + 10)}/`
      entrants.push({ contender, store, label: labelOf(contender, store), prefix, client, failure })
    }
  }
  return entrants
}

/** A client that could not be set up. */
function broken(error: unknown): Client {
  const call = (): Promise<never> => Promise.reject(error instanceof Error ? error : new Error(String(error)))
  return { text: call, json: call, arrayBuffer: call, drain: call, close: async () => {} }
}

/** Does something with an entrant's client; where that throws or takes too long, the entrant is out, and its label says why. */
export async function attempt(entrant: Entrant, work: () => Promise<void>): Promise<void> {
  if (entrant.failure !== null) return
  try {
    await within(work(), PATIENCE)
  } catch (error) {
    entrant.failure = messageOf(error)
  }
}

/** Name, version, and the store where the contender has several. */
export function labelOf({ name, package: npm, stores }: Contender, store: StoreKind): string {
  const numbered = npm === null || npm === 'keepfresh' ? name : `${name} ${version(npm) ?? ''}`.trimEnd()
  return stores.length > 1 ? `${numbered}, ${store}` : numbered
}

/** Removes what they keep in servers, and closes them. */
export async function leave(entrants: readonly Entrant[], log: (line: string) => void): Promise<void> {
  for (const { client, label } of entrants) {
    try {
      await within((client.clear?.() ?? Promise.resolve()).then(client.close), PATIENCE)
    } catch (error) {
      log(`${label} does not close: ${messageOf(error)}`)
    }
  }
}

export function notesOf(entrants: readonly Entrant[]): string[] {
  return [...new Set(entrants.map(({ contender }) => contender.note).filter((note) => note !== undefined))]
}

/** Who is out, and why: for the notes of a table. */
export function failuresOf(entrants: readonly Entrant[], where: string): string[] {
  return entrants.flatMap(({ label, failure }) => (failure === null ? [] : [`${label}, ${where}: fails: ${failure}`]))
}
