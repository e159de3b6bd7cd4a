/** Reports as Markdown, for the terminal and for docs/benchmarks.md. */
import { digits } from './stats.ts'
import type { Cell, Report, Scenario, Table, Target } from './types.ts'

export function markdown(scenario: Pick<Scenario, 'title' | 'about'>, report: Report): string {
  const parts = [`## ${scenario.title}`, scenario.about, ...report.tables.map(table)]
  if (report.targets.length > 0) parts.push(targets(report.targets))
  if (report.notes.length > 0) parts.push(report.notes.map((note) => `- ${note}`).join('\n'))
  return parts.join('\n\n')
}

function table({ title, columns, rows }: Table): string {
  return `**${title}**\n\n${grid(columns, rows)}`
}

function targets(list: readonly Target[]): string {
  const rows = list.map(({ what, sense, limit, got, unit }) => [
    what,
    `${sense} ${digits(limit)}${unit}`,
    Number.isFinite(got) ? `${digits(got)}${unit}` : 'not measured',
    reached(sense, limit, got),
  ])
  return `**Goals**\n\n${grid(['goal', 'wanted', 'got', 'reached'], rows)}`
}

function reached(sense: Target['sense'], limit: number, got: number): string {
  if (!Number.isFinite(got)) return '-'
  return (sense === 'at most' ? got <= limit : got >= limit) ? 'yes' : '**no**'
}

function grid(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? digits(cell) : (cell ?? '-'))))
  const widths = columns.map((column, i) => Math.max(3, column.length, ...text.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(columns), rule, ...text.map(line)].join('\n')
}
