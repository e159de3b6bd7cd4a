/** Renews what is generated in docs/functions/eviction.md, and the plot beside it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { plot, type Panel } from './plot.ts'

const PAGE = new URL('../../docs/functions/eviction.md', import.meta.url)
const PICTURE = new URL('../../docs/functions/eviction.svg', import.meta.url)
const [OPEN, CLOSE] = ['<!-- bench:eviction -->', '<!-- /bench:eviction -->']

export function renewDocument(content: string): void {
  const text = readFileSync(PAGE, 'utf8')
  const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
  if (start < 0 || end < start) throw new Error(`docs/functions/eviction.md has no ${OPEN} ... ${CLOSE}`)
  writeFileSync(PAGE, `${text.slice(0, start + OPEN.length)}\n\n${content}\n\n${text.slice(end)}`)
}

export function writePlot(panels: readonly Panel[], shares: readonly number[]): void {
  writeFileSync(PICTURE, plot(panels, shares))
}
