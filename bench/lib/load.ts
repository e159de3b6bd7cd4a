/** Finds the contenders and floors, each a file of its own; what fails to load is named in every report. */
import { readdirSync } from 'node:fs'
import { messageOf } from './attempt.ts'
import type { Absent, Contender, LoadedContender } from './types.ts'

export interface Loaded {
  readonly contenders: readonly LoadedContender[]
  readonly floors: readonly LoadedContender[]
  readonly absent: readonly Absent[]
}

/** Those of one scenario. `only`: file names or parts of them; null: all. Floors are always loaded. */
export async function load(scenario: string, only: readonly string[] | null): Promise<Loaded> {
  const absent: Absent[] = []
  const all = await loadFrom('contenders', only, absent)
  const contenders = all.filter(({ scenarios }) => scenarios?.includes(scenario) ?? true)
  return { contenders, floors: await loadFrom('floors', null, absent), absent }
}

async function loadFrom(folder: string, only: readonly string[] | null, absent: Absent[]): Promise<LoadedContender[]> {
  const found: LoadedContender[] = []
  const base = new URL(`../${folder}/`, import.meta.url)
  const files = readdirSync(base).filter((file) => file.endsWith('.ts'))
  for (const file of files.toSorted((a, b) => place(a) - place(b) || a.localeCompare(b))) {
    const name = file.slice(0, -'.ts'.length)
    if (only !== null && !only.some((part) => name.includes(part))) continue
    try {
      const module = new URL(file, base).href
      const { contender } = (await import(module)) as { contender: Contender }
      found.push({ ...contender, module })
    } catch (error) {
      absent.push({ name, why: messageOf(error) })
    }
  }
  return found
}

/** Ours first, then by name; the first floor of a table is the one that ratios are of. */
function place(file: string): number {
  if (file === 'keepfresh.ts' || file === 'map.ts') return 0
  return file.startsWith('keepfresh') ? 1 : 2
}
