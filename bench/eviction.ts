/**
 * Eviction policies on recorded and made-up traces: node bench/eviction.ts [--print] [--rounds 9] [--trace FILE]...
 *
 * Prints hit ratios for caches of 1, 5, 10 and 25 % of the keys, and what a hit and an insertion cost beside lru-cache; renews the tables of
 * docs/functions/eviction.md and its plot unless told to print only. With --trace it takes your own traces instead, one key a line (.gz too),
 * and writes nothing. lru-cache is left out where bench/ is not installed.
 */
import { parseArgs } from 'node:util'
import { costs, PEER, ratioOf } from './eviction/cost.ts'
import { renewDocument, writePlot } from './eviction/document.ts'
import { replayExpiring, type TimedName } from './eviction/lifetimes.ts'
import { replay, replayLruCache, replayOptimal } from './eviction/replay.ts'
import { describe, machine, version } from './lib/machine.ts'
import { digits, median, times } from './lib/stats.ts'
import { EVICTION_NAMES } from '../src/stores/eviction/by-name.ts'
import type { EvictionName } from '../src/stores/eviction/policy.ts'
import { recorded, traceFile } from './traces/recorded.ts'
import { synthetic } from './traces/synthetic.ts'
import type { Trace } from './traces/trace.ts'

const { values } = parseArgs({
  options: {
    print: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '9' },
    trace: { type: 'string', multiple: true, default: [] },
  },
})

const SHARES = [0.01, 0.05, 0.1, 0.25]
const NAMES = EVICTION_NAMES as readonly EvictionName[]

interface Row {
  readonly trace: string
  readonly size: number
  /** By policy, and 'optimal'. */
  readonly ratios: ReadonlyMap<string, number>
}

const own = values.trace.map(traceFile)
// First, while the compiler knows nothing of the policies but this.
const price = own.length === 0 ? costTable() : []
const groups = own.length > 0 ? [{ title: 'Your traces', traces: own }] : shippedGroups()
const measured = groups.map(({ title, traces }) => ({ title, traces, rows: traces.flatMap(measure) }))
const all = measured.flatMap(({ rows }) => rows)
const parts = [
  ...measured.flatMap(({ title, traces, rows }) => [
    `### ${title}`,
    traces.map(describeTrace).join('\n'),
    ratioTable(rows),
  ]),
  '### All in one number',
  'Points of hit ratio below the best of these policies, on average and at worst; hits as a share of what the optimum has, and how many fewer misses than with FIFO, on average. All traces and sizes above count alike, save the loop.',
  summary(all),
]
if (own.length === 0) parts.push(...lifetimes(), ...price)
console.log(parts.join('\n\n'))
if (own.length === 0 && !values.print) {
  renewDocument(parts.join('\n\n'))
  writePlot(panels(all), SHARES)
}

function shippedGroups(): { title: string; traces: readonly Trace[] }[] {
  return [
    { title: 'Recorded traces', traces: recorded },
    { title: 'Made-up traces', traces: synthetic },
  ]
}

function measure(trace: Trace): Row[] {
  process.stderr.write(`${trace.name} ...\n`)
  return SHARES.map((share): Row => {
    const requests = trace.requests(share)
    // A loop is as long as the size makes it: its size is a share of the keys that the other made-up traces have.
    const size = trace.sizeFor?.(share) ?? Math.max(1, Math.round(requests.footprint * share))
    const ratios = new Map<string, number>(NAMES.map((name) => [name, replay(name, requests, size)]))
    const peer = replayLruCache(requests, size)
    if (peer !== null && peer !== ratios.get('lru')) {
      throw new Error(`${trace.name}, ${size} entries: lru-cache has ${peer} hits a request, lru ${ratios.get('lru')}`)
    }
    return { trace: trace.name, size, ratios: ratios.set('optimal', replayOptimal(requests, size)) }
  })
}

function describeTrace(trace: Trace): string {
  const { ids, footprint } = trace.requests(SHARES.at(-1) ?? 1)
  const keys = trace.sizeFor === undefined ? `${grouped(footprint)} keys` : 'as many keys as the size makes it'
  return `- **${trace.name}**: ${trace.about}. ${grouped(ids.length)} requests, ${keys}.`
}

function ratioTable(rows: readonly Row[]): string {
  const body = rows.map(({ trace, size, ratios }, at) => {
    const best = Math.max(...NAMES.map((name) => ratios.get(name) ?? 0))
    const cells = [...ratios].map(([name, ratio]) =>
      bold(percent(ratio), name !== 'optimal' && percent(ratio) === percent(best)),
    )
    return [
      at % SHARES.length === 0 ? trace : '',
      `${(SHARES[at % SHARES.length] ?? 0) * 100} %`,
      grouped(size),
      ...cells,
    ]
  })
  return grid(['trace', 'cache', 'entries', ...NAMES, 'optimal'], body)
}

/** Without the loop, where half of the policies have no hit at all: one such trace would be all that a mean says. */
function summary(rows: readonly Row[]): string {
  const counted = rows.filter(({ trace }) => trace !== 'loop')
  const body = NAMES.map((name) => {
    const behind = counted.map(
      ({ ratios }) => Math.max(...NAMES.map((any) => ratios.get(any) ?? 0)) - (ratios.get(name) ?? 0),
    )
    const fewer = counted.map(({ ratios }) => 1 - (1 - (ratios.get(name) ?? 0)) / (1 - (ratios.get('fifo') ?? 0)))
    const optimal = counted.map(({ ratios }) => (ratios.get(name) ?? 0) / (ratios.get('optimal') ?? Number.NaN))
    const worst = behind.indexOf(Math.max(...behind))
    const where = `${counted[worst]?.trace}, ${(SHARES[worst % SHARES.length] ?? 0) * 100} %`
    const percents = [mean(optimal), mean(fewer)].map((share) => `${percent(share)} %`)
    return [name, percent(mean(behind)), percent(behind[worst] ?? 0), where, ...percents]
  })
  return grid(
    ['policy', 'behind, mean', 'behind, worst', 'where', "of the optimum's hits", 'fewer misses than FIFO'],
    body,
  )
}

function lifetimes(): string[] {
  const names: readonly TimedName[] = ['ttl', 'tlru', ...NAMES]
  const traces = [...recorded, ...synthetic].filter(({ name }) =>
    ['paths', 'words', 'Zipf 0.9', 'recency'].includes(name),
  )
  const body = traces.flatMap((trace) =>
    [0.05, 0.25].map((share) => {
      const requests = trace.requests(share)
      const size = Math.round(requests.footprint * share)
      const ratios = names.map((name) => replayExpiring(name, requests, size))
      const best = percent(Math.max(...ratios))
      return [trace.name, `${share * 100} %`, ...ratios.map((ratio) => bold(percent(ratio), percent(ratio) === best))]
    }),
  )
  return [
    '### With lifetimes',
    'Each key has a lifetime of its own, from 200 to 200,000 requests (each power of ten as likely); what has expired is a miss. This is where the policies that go by time belong.',
    grid(['trace', 'cache', ...names], body),
  ]
}

function costTable(): string[] {
  const trace = synthetic.find(({ name }) => name === 'Zipf 0.9')?.requests(0.05)
  if (trace === undefined) throw new Error('no trace Zipf 0.9')
  const size = Math.round(trace.footprint * 0.05)
  const operations = costs(NAMES, trace, size, Number(values.rounds))
  const names = [...(operations[0]?.times.keys() ?? [])]
  const body = names.map((name) => [
    name === PEER ? `${PEER} ${version(PEER) ?? ''}` : name,
    ...operations.flatMap((operation) => [
      digits(median(operation.times.get(name) ?? [])),
      times(ratioOf(operation, name)),
    ]),
  ])
  return [
    '### What they cost',
    `Each policy behind one and the same Map, ${grouped(size)} entries: nanoseconds of the thread's time, and how many times what lru-cache takes (medians of ${values.rounds} rounds in turns).`,
    grid(['policy', ...operations.flatMap(({ title }) => [`${title}, ns`, `x ${PEER}`])], body),
    `_${describe(machine())}_`,
  ]
}

function panels(rows: readonly Row[]): { title: string; lines: Map<string, number[]> }[] {
  return [...Map.groupBy(rows, ({ trace }) => trace)].map(([title, list]) => ({
    title,
    lines: new Map([...NAMES, 'optimal'].map((name) => [name, list.map(({ ratios }) => ratios.get(name) ?? 0)])),
  }))
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}

function percent(ratio: number): string {
  return (ratio * 100).toFixed(1)
}

function bold(text: string, is: boolean): string {
  return is ? `**${text}**` : text
}

function grouped(number: number): string {
  return number.toLocaleString('en')
}

function grid(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(columns), line(columns.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
