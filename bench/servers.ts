/**
 * Response caches against each other and against the frameworks' own handlers: `node bench/servers.ts [--quick] [--write]`.
 * One process a contender, loaded in turns by wrk; medians over the rounds, ratios to the plain handler of the same framework.
 */
import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describe, machine } from './lib/machine.ts'
import { installPeers } from './lib/peers.ts'

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
})
const [ROUNDS, SECONDS] = values.quick ? [3, 1] : [7, 2]

const HITS = [
  'node:http',
  'Map, by hand',
  'node:http + keepfresh',
  'Express',
  'Express + keepfresh',
  'Express + apicache',
  'Koa',
  'Koa + keepfresh',
  'Fastify',
  'Fastify + keepfresh',
  'Hono',
  'Hono + keepfresh',
]
const UNCACHEABLE = ['node:http, no-store', 'node:http + keepfresh, no-store']

interface Server {
  readonly kind: string
  readonly url: string
  readonly process: ChildProcess
  readonly rates: number[]
}

async function start(kind: string, bytes: number): Promise<Server> {
  const child = fork(new URL('servers/server.ts', import.meta.url), [kind, String(bytes)], { execArgv: [] })
  const [port] = (await once(child, 'message')) as [number]
  return { kind, url: `http://127.0.0.1:${port}`, process: child, rates: [] }
}

/** Requests a second. */
function load({ url }: Server, seconds: number): number {
  const out = execFileSync('wrk', ['-t1', '-c32', `-d${seconds}`, `${url}/page`], { encoding: 'utf8' })
  if (/Non-2xx/.test(out)) throw new Error(`${url}: ${out}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1])
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
}

async function race(kinds: readonly string[], bytes: number): Promise<string> {
  const servers = []
  for (const kind of kinds) servers.push(await start(kind, bytes))
  for (const server of servers) {
    await (await fetch(`${server.url}/page`)).arrayBuffer()
    load(server, 1)
  }
  for (let round = 0; round < ROUNDS; round++) for (const server of servers) server.rates.push(load(server, SECONDS))
  const rows = servers.map(({ kind, rates }) => {
    const own = servers.find(
      (each) => each.kind === (kind.includes('no-store') ? UNCACHEABLE[0] : kind.split(' + ')[0]),
    )
    const base = own === undefined || kind.startsWith('Map') ? servers[0] : own
    return `| ${kind} | ${Math.round(median(rates))} | ${(median(rates) / median(base?.rates ?? [])).toFixed(2)} |`
  })
  for (const server of servers) server.process.kill()
  return ['| contender | requests/s | of the plain handler |', '| --- | --- | --- |', ...rows].join('\n')
}

/** Thousands at once on a page nobody has asked for: how often the handler ran. */
async function herd(): Promise<string> {
  const server = await start('node:http + keepfresh', 1024)
  const count = values.quick ? 2000 : 10_000
  const { request, Agent } = await import('node:http')
  const agent = new Agent({ keepAlive: true, maxSockets: 1000 })
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      request(`${server.url}/herd`, { agent }, (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end()
    })
  await Promise.all(Array.from({ length: count }, one))
  agent.destroy()
  const runs = await (await fetch(`${server.url}/runs`)).text()
  server.process.kill()
  return `${count} requests at once on a cold page ran the handler ${runs} time(s).`
}

installPeers()
const text = [
  '# Server benchmarks',
  '',
  `\`node bench/servers.ts${values.quick ? ' --quick' : ''}\`: wrk, one thread, 32 connections, ${ROUNDS} rounds of ${SECONDS} s each, medians.`,
  describe(machine()),
  '',
  '## Hits, 1 KB',
  '',
  await race(HITS, 1024),
  '',
  '## Hits, 64 KB',
  '',
  await race(HITS.slice(0, 6), 65_536),
  '',
  '## What an uncacheable request pays',
  '',
  await race(UNCACHEABLE, 1024),
  '',
  '## A herd',
  '',
  await herd(),
  '',
].join('\n')
console.log(text)
if (values.write) writeFileSync(new URL('../docs/server/benchmarks.md', import.meta.url), text)
process.exit(0)
