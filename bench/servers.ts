/**
 * Response caches against each other and against the frameworks' own handlers:
 * `node bench/servers.ts [hits-1k|hits-64k|uncacheable|server-herd]... [--quick] [--visitors 10000] [--contenders TEXT,...] [--write]`.
 * One process a contender, loaded in turns; medians over the rounds. Renews docs/server/benchmarks.md with --write.
 */
import { parseArgs } from 'node:util'
import { commandOf, writeDocument } from './lib/document.ts'
import { describe, machine } from './lib/machine.ts'
import { installPeers } from './lib/peers.ts'
import type { Finished } from './lib/scenario-process.ts'
import { markdown } from './lib/tables.ts'
import type { Report, Target } from './lib/types.ts'
import { herd, herdRows } from './servers/herd.ts'
import { findLoader } from './servers/load.ts'
import { HERD_DELAY, type Mode } from './servers/page.ts'
import { baseOf, raceRates, rateRatio, rateRows, type Rate } from './servers/rates.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    visitors: { type: 'string' },
    contenders: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const [ROUNDS, SECONDS] = values.quick ? [3, 1] : [7, 2]
const VISITORS = Number(values.visitors ?? (values.quick ? 2000 : 10_000))
const LOADER = findLoader()

const FRAMEWORKS = ['Express', 'Koa', 'Fastify', 'Hono']
const OURS = ['node:http', ...FRAMEWORKS].flatMap((name) => [name, `${name} + keepfresh`])
const PEERS = [
  'Express + keepfresh around it',
  'Express + apicache',
  'Koa + koa-cash',
  'Fastify + keepfresh around it',
  'Fastify + @fastify/caching',
  'Hono + hono/cache',
]
const PROXIES = ['nginx proxy_cache', 'Varnish']
/** Each framework with what belongs to it. */
const HITS = [
  'node:http',
  'Map, by hand',
  'node:http + keepfresh',
  ...FRAMEWORKS.flatMap((name) => [name, `${name} + keepfresh`, ...PEERS.filter((peer) => peer.startsWith(name))]),
  ...PROXIES,
]
/** Who has a cache. */
const CACHES = HITS.filter((name) => name.includes(' + ') || PROXIES.includes(name))

const LOAD = `${LOADER.name}, ${ROUNDS} rounds of ${SECONDS} s for each; requests a second are medians, ratios are medians of the rounds' ratios. The processor time is that of the server's processes: a busy machine does less to it than to requests a second.`
const COLUMNS = [
  'contender',
  'requests/s',
  "of the framework's own handler",
  'of node:http',
  'processor us a request',
  'of the own handler, by processor',
  'the handler runs',
]

interface Section {
  readonly title: string
  readonly about: string
  run(): Promise<Report>
}

const SECTIONS: Readonly<Record<string, Section>> = {
  'hits-1k': {
    title: 'Hits, 1 KB',
    about: `Every request after the first may be answered from the cache. Around Express and Fastify, the cache answers before they are asked (\`cache.wrap(app)\`, and the same in Fastify's \`serverFactory\`). ${LOAD} nginx has one worker; Varnish has threads, and so more than one core. @fastify/caching sets header fields and keeps no responses. hono/cache has the CacheStorage of undici behind it, since Node has none.`,
    run: () =>
      rates(HITS, 'hit', 1024, (found) => [least('node:http + keepfresh', found, 1.05), ...frameworks(found, 1)]),
  },
  'hits-64k': {
    title: 'Hits, 64 KB',
    about: LOAD,
    run: () => rates(HITS, 'hit', 65_536, () => []),
  },
  uncacheable: {
    title: 'What an uncacheable request pays',
    about: `The handler says \`no-store\`, so that it runs for every request. ${LOAD}`,
    run: () => rates(OURS, 'no-store', 1024, (found) => [least('node:http + keepfresh', found, 0.95)]),
  },
  'server-herd': {
    title: 'A herd',
    about: `${VISITORS} visitors ask at once, each on a connection that is open already, for a page that has been kept and has expired; its handler takes ${HERD_DELAY} ms. nginx has \`proxy_cache_lock\` and \`proxy_cache_use_stale updating\` switched on; it and Varnish, by its default grace, hand out the expired page while one request renews it.`,
    run: herds,
  },
}

async function rates(
  kinds: readonly string[],
  mode: Mode,
  bytes: number,
  goals: (found: readonly Rate[]) => Target[],
): Promise<Report> {
  const found = await raceRates(wanted(kinds), { mode, bytes, rounds: ROUNDS, seconds: SECONDS, loader: LOADER })
  return {
    tables: [{ title: `${bytes / 1024} KB`, columns: COLUMNS, rows: rateRows(found) }],
    targets: goals(found),
    notes: [],
  }
}

function least(kind: string, found: readonly Rate[], limit: number): Target {
  const own = found.find((rate) => rate.kind === kind)
  const got = own === undefined ? Number.NaN : rateRatio(own, baseOf(own, found))
  return { what: `${kind}, of ${kind.split(' + ')[0]}`, sense: 'at least', limit, got, unit: 'x' }
}

function frameworks(found: readonly Rate[], limit: number): Target[] {
  return FRAMEWORKS.map((name) => least(`${name} + keepfresh`, found, limit))
}

async function herds(): Promise<Report> {
  const results = []
  for (const kind of wanted(CACHES)) {
    process.stderr.write(`  ${kind}\n`)
    results.push(await herd(kind, VISITORS))
  }
  const targets = results
    .filter(({ kind }) => kind.endsWith('keepfresh'))
    .map(({ kind, runs }): Target => ({
      what: `${kind}: runs of the handler`,
      sense: 'at most',
      limit: 1,
      got: runs,
      unit: '',
    }))
  const columns = ['contender', 'runs of the handler', 'all answered after, ms']
  return { tables: [{ title: `${VISITORS} visitors`, columns, rows: herdRows(results) }], targets, notes: [] }
}

/** What ratios are of runs in any case. */
function wanted(kinds: readonly string[]): string[] {
  const parts = values.contenders?.split(',')
  return kinds.filter((kind, i) => parts === undefined || i === 0 || parts.some((part) => kind.includes(part)))
}

const unknown = positionals.filter((name) => !(name in SECTIONS))
if (unknown.length > 0)
  throw new Error(`no section ${unknown.join(', ')}; there are ${Object.keys(SECTIONS).join(', ')}`)
installPeers()
console.log(`${describe(machine())}\n`)
const finished: Record<string, Finished> = {}
for (const [name, { title, about, run }] of Object.entries(SECTIONS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const started = performance.now()
  process.stderr.write(`${name} ...\n`)
  finished[name] = { title, about, report: await run() }
  console.log(`${markdown({ title, about }, finished[name].report)}\n`)
  process.stderr.write(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
}
const document = new URL('../docs/server/benchmarks.md', import.meta.url)
if (values.write) writeDocument(finished, commandOf('npm run bench -- --servers'), document)
process.exit(0)
