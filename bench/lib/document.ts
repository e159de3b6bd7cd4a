/** Renews the documents with tables: each section has its own pair of markers, so that one can be run again without the others. */
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, machine } from './machine.ts'
import type { Finished } from './scenario-process.ts'
import { markdown } from './tables.ts'

const DOCUMENT = new URL('../../docs/benchmarks.md', import.meta.url)

/** Puts each result between the markers of its name, with the command and the machine. `into`: docs/benchmarks.md by default. */
export function writeDocument(
  finished: Readonly<Record<string, Finished>>,
  command: string,
  into: URL = DOCUMENT,
): void {
  let text = readFileSync(into, 'utf8')
  for (const [name, result] of Object.entries(finished)) {
    const source = `_\`${command}\`; ${describe(machine())}_`
    text = replaceBetween(text, name, `${markdown(result, result.report)}\n\n${source}`)
  }
  writeFileSync(into, text)
}

function replaceBetween(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const [start, end] = [text.indexOf(open), text.indexOf(close)]
  if (start < 0 || end < start) throw new Error(`the document has no ${open} ... ${close}`)
  return `${text.slice(0, start + open.length)}\n${content}\n${text.slice(end)}`
}

/** The command as a reader would type it. */
export function commandOf(script: string): string {
  const args = process.argv
    .slice(2)
    .filter(
      (arg, i, list) => arg !== '--write' && arg !== '--json' && list[i - 1] !== '--json' && !arg.startsWith('--json='),
    )
  if (args.length === 0) return script
  return `${script}${script.includes(' -- ') ? '' : ' --'} ${args.join(' ')}`
}
