/** Contenders as set up for one scenario: one entrant for each store they are asked to use. */
import { version } from './machine.ts'
import type { Client, Contender, Context, StoreKind } from './types.ts'

export interface Entrant {
  readonly contender: Contender
  readonly store: StoreKind
  /** Unique in the scenario. */
  readonly label: string
  /** The first segment of the paths it asks for, the same length for all: /07/. */
  readonly prefix: string
  readonly client: Client
}

/** Sets up every contender that has one of the stores, floors first; one that throws is skipped, and said. */
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
      const label = labelOf(contender, store)
      try {
        const client = await contender.setup(context.origin.url, { store, dir: context.tmp() })
        entrants.push({ contender, store, label, prefix: `/${String(entrants.length + 10)}/`, client })
      } catch (error) {
        context.log(`skipped ${label}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  return entrants
}

/** Name, version, and the store where the contender has several. */
export function labelOf({ name, package: npm, stores }: Contender, store: StoreKind): string {
  const numbered = npm === null || npm === 'keepfresh' ? name : `${name} ${version(npm) ?? ''}`.trimEnd()
  return stores.length > 1 ? `${numbered}, ${store}` : numbered
}

export async function leave(entrants: readonly Entrant[]): Promise<void> {
  for (const { client } of entrants) await client.close()
}

export function notesOf(entrants: readonly Entrant[]): string[] {
  return [...new Set(entrants.map(({ contender }) => contender.note).filter((note) => note !== undefined))]
}
