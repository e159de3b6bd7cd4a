/** Renews docs/benchmarks.md: each scenario has its own pair of markers, so that one can be run again without the others. */
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, machine } from './machine.ts'
import type { Finished } from './scenario-process.ts'
import { markdown } from './tables.ts'

const FILE = new URL('../../docs/benchmarks.md', import.meta.url)

export function writeDocument(finished: Readonly<Record<string, Finished>>, command: string): void {
  let text = readFileSync(FILE, 'utf8')
  for (const [name, result] of Object.entries(finished)) {
    const source = `_\`${command}\`; ${describe(machine())}_`
    text = replaceBetween(text, name, `${markdown(result, result.report)}\n\n${source}`)
  }
  writeFileSync(FILE, text)
}

function replaceBetween(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [start, end] = [text.indexOf(open), text.indexOf(close)]
  if (start < 0 || end < start) throw new Error(`docs/benchmarks.md has no ${open} ... ${close}`)
  return `${text.slice(0, start + open.length)}\n${content}\n${text.slice(end)}`
}
