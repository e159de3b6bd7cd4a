/** Finds the contenders and floors, each a file of its own; what fails to load is skipped, and said. */
import { readdirSync } from 'node:fs'
import type { Contender, LoadedContender } from './types.ts'

export interface Loaded {
  readonly contenders: readonly LoadedContender[]
  readonly floors: readonly LoadedContender[]
}

/** `only`: file names or parts of them; null: all. Floors are always loaded. */
export async function load(only: readonly string[] | null, log: (line: string) => void): Promise<Loaded> {
  return { contenders: await loadFrom('contenders', only, log), floors: await loadFrom('floors', null, log) }
}

async function loadFrom(
  folder: string,
  only: readonly string[] | null,
  log: (line: string) => void,
): Promise<LoadedContender[]> {
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
      log(`skipped ${folder}/${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return found
}

/** Ours first, then by name; the first floor of a table is the one that ratios are of. */
function place(file: string): number {
  return ['keepfresh.ts', 'map.ts'].includes(file) ? 0 : 1
}
