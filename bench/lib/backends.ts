/** What the scenarios over every backend have in common: which backends run here, and a table with a column for each case. */
import { BACKENDS, serverOf, serverVersion, type Backend } from './services.ts'
import type { Cell, Context, Report, StoreKind, Table, Target } from './types.ts'

/** A size and a concurrency. */
export interface Case {
  readonly name: string
  readonly size: readonly [name: string, bytes: number]
  readonly concurrency: number
}

export const CASES: readonly Case[] = [1, 16].flatMap((kib) =>
  [1, 32].map((concurrency) => ({
    name: `${kib} KiB x${concurrency}`,
    size: [`${kib} KiB`, kib * 1024] as const,
    concurrency,
  })),
)

/** What came of one backend. */
export interface Part {
  readonly tables: readonly Table[]
  readonly targets?: readonly Target[]
  readonly notes?: readonly string[]
}

/** Measures one backend after the other; a backend whose server does not run is named in the notes. */
export async function eachBackend(
  context: Context,
  measure: (backend: Backend, title: string) => Promise<Part>,
  of: readonly StoreKind[] = BACKENDS.map(({ store }) => store),
): Promise<Report> {
  const [tables, targets, notes]: [Table[], Target[], Set<string>] = [[], [], new Set()]
  for (const backend of BACKENDS) {
    const { store, title } = backend
    if (!of.includes(store) || !(context.stores?.includes(store) ?? true)) continue
    if (serverOf(store) === null) {
      notes.add(`${title}: no server here, skipped.`)
      continue
    }
    context.log(`  ${title}`)
    const version = serverVersion(store)
    const part = await measure(backend, version === null ? title : `${title} (${version})`)
    tables.push(...part.tables)
    targets.push(...(part.targets ?? []))
    for (const note of part.notes ?? []) notes.add(note)
  }
  return { tables, targets, notes: [...notes] }
}

/** A row for each label; two cells for each case. */
export function caseTable(
  title: string,
  labels: readonly string[],
  heads: readonly [string, string],
  cells: (label: string, of: Case) => readonly [Cell, Cell],
  mark: (label: string) => string = (label) => label,
): Table {
  const columns = ['contender', ...CASES.flatMap(({ name }) => [`${name}, ${heads[0]}`, heads[1]])]
  return { title, columns, rows: labels.map((label) => [mark(label), ...CASES.flatMap((of) => cells(label, of))]) }
}
