/**
 * Small multiples as SVG: a panel a trace, hit ratio over cache size, a line a policy. No library; the colours are of middling lightness, so
 * that the lines can be told apart on white and on black, and the rest follows the reader's scheme.
 */

import { DEFAULT_EVICTION } from '../../src/stores/eviction/by-name.ts'

export interface Panel {
  readonly title: string
  /** Hit ratios from 0 to 1, in the order of the sizes. */
  readonly lines: ReadonlyMap<string, readonly number[]>
}

interface Look {
  readonly colour: string
  readonly dash?: string
}

const LOOKS: Readonly<Record<string, Look>> = {
  optimal: { colour: '#8b949e', dash: '2 3' },
  fifo: { colour: '#b08050', dash: '6 3' },
  random: { colour: '#9aa02c', dash: '1 2' },
  lfu: { colour: '#c065c8', dash: '8 2 2 2' },
  lru: { colour: '#3f8fd8' },
  sieve: { colour: '#e5533d' },
  tinylfu: { colour: '#2fa36b' },
}

const COLUMNS = 4
const WIDTH = 216
const HEIGHT = 190
const AREA = { left: 38, top: 26, width: 164, height: 118 }
const TOP = 44

export function plot(panels: readonly Panel[], shares: readonly number[]): string {
  const width = COLUMNS * WIDTH
  const height = TOP + Math.ceil(panels.length / COLUMNS) * HEIGHT
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Hit ratio over cache size, a panel a trace">`,
    STYLE,
    ...legend(),
    ...panels.map((panel, at) => {
      const x = (at % COLUMNS) * WIDTH
      const y = TOP + Math.floor(at / COLUMNS) * HEIGHT
      return `<g transform="translate(${x} ${y})">\n${draw(panel, shares).join('\n')}\n</g>`
    }),
    '</svg>\n',
  ].join('\n')
}

const STYLE = `<style>
text { font: 11px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600; font-size: 12px; fill: #24292f }
.grid { stroke: #8b949e; stroke-opacity: 0.3 }
.line { fill: none; stroke-linejoin: round }
@media (prefers-color-scheme: dark) { text { fill: #9aa4af } .title { fill: #e6edf3 } }
</style>`

function legend(): string[] {
  const names = Object.keys(LOOKS).toReversed()
  return names.flatMap((name, at) => {
    const x = AREA.left + at * 112 + (at > 0 ? 24 : 0)
    return [
      `<path class="line" ${stroke(name)} d="M${x} 18h28"/>`,
      `<text x="${x + 34}" y="22">${name === DEFAULT_EVICTION ? `${name} (default)` : name}</text>`,
    ]
  })
}

function draw({ title, lines }: Panel, shares: readonly number[]): string[] {
  const { left, top, width, height } = AREA
  const { low, high, step } = scale([...lines.values()].flat())
  const x = (at: number): number =>
    left + (width * Math.log(at / (shares[0] ?? 1))) / Math.log((shares.at(-1) ?? 1) / (shares[0] ?? 1))
  const y = (ratio: number): number => top + height - (height * (ratio * 100 - low)) / (high - low)
  const parts = [`<text class="title" x="${left}" y="14">${title}</text>`]
  for (let mark = low; mark <= high; mark += step) {
    const at = y(mark / 100).toFixed(1)
    parts.push(`<path class="grid" d="M${left} ${at}h${width}"/>`)
    parts.push(`<text x="${left - 5}" y="${(Number(at) + 4).toFixed(1)}" text-anchor="end">${mark} %</text>`)
  }
  for (const share of shares) {
    parts.push(`<path class="grid" d="M${x(share).toFixed(1)} ${top}v${height}"/>`)
    parts.push(`<text x="${x(share).toFixed(1)}" y="${top + height + 15}" text-anchor="middle">${share * 100} %</text>`)
  }
  for (const name of Object.keys(LOOKS)) {
    const points = lines.get(name)?.map((ratio, at) => `${x(shares[at] ?? 1).toFixed(1)} ${y(ratio).toFixed(1)}`)
    if (points !== undefined) parts.push(`<path class="line" ${stroke(name)} d="M${points.join('L')}"/>`)
  }
  return parts
}

function stroke(name: string): string {
  const { colour, dash } = LOOKS[name] ?? { colour: '#8b949e' }
  return `stroke="${colour}" stroke-width="${name === DEFAULT_EVICTION ? 2.4 : 1.6}"${dash === undefined ? '' : ` stroke-dasharray="${dash}"`}`
}

/** From what there is, on round numbers: differences count, and panels differ more than policies do. */
function scale(ratios: readonly number[]): { low: number; high: number; step: number } {
  const [least, most] = [Math.min(...ratios) * 100, Math.max(...ratios) * 100]
  const step = [1, 2, 5, 10, 20, 25].find((size) => (most - least) / size <= 5) ?? 25
  return { low: Math.floor(least / step) * step, high: Math.min(100, Math.ceil(most / step) * step), step }
}
