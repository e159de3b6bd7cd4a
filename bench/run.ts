/** `npm run bench`: see README.md beside this file. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { commandOf, writeDocument } from './lib/document.ts'
import { describe, machine } from './lib/machine.ts'
import { installPeers } from './lib/peers.ts'
import type { Finished, Order } from './lib/scenario-process.ts'
import { BACKENDS, rerunWithServers, wantsServers } from './lib/services.ts'
import { markdown } from './lib/tables.ts'
import type { StoreKind } from './lib/types.ts'

/** In the order they are run and written. */
const CLIENTS = ['memory-hit', 'sqlite-hit', 'sqlite-size', 'miss', 'herd', 'large', 'delete-expired']
const BACKEND_SCENARIOS = ['backends-hit', 'backends-miss', 'backends-herd', 'backends-large', 'purge']
const ORDER = [...CLIENTS, ...BACKEND_SCENARIOS]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    backends: { type: 'boolean', default: false },
    servers: { type: 'boolean', default: false },
    functions: { type: 'boolean', default: false },
    visitors: { type: 'string' },
    stores: { type: 'string' },
    contenders: { type: 'string' },
    size: { type: 'string' },
    entries: { type: 'string' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

const all = readdirSync(new URL('scenarios/', import.meta.url)).map((file) => file.replace(/\.ts$/, ''))
const unknown = positionals.filter((name) => !all.includes(name))
if (unknown.length > 0 && !values.servers && !values.functions)
  throw new Error(`no scenario ${unknown.join(', ')}; there are ${ORDER.join(', ')}`)
const group = values.backends ? BACKEND_SCENARIOS : CLIENTS
const names = positionals.length === 0 ? group : ORDER.filter((name) => positionals.includes(name))

installPeers()
if (values.servers) process.exitCode = await other('servers.ts')
else if (values.functions) process.exitCode = await other('functions.ts')
else if (names.some((name) => BACKEND_SCENARIOS.includes(name)) && wantsServers()) process.exitCode = rerunWithServers()
else await runAll()

/** The benches of servers and functions have scripts of their own, which take the other options. */
async function other(script: string): Promise<number> {
  const args = process.argv.slice(2).filter((arg) => arg !== '--servers' && arg !== '--functions')
  const [code] = await once(fork(new URL(script, import.meta.url), args), 'exit')
  return Number(code ?? 1)
}

async function runAll(): Promise<void> {
  console.log(`${describe(machine())}\n`)
  const finished: Record<string, Finished> = {}
  for (const name of names) {
    const started = performance.now()
    process.stderr.write(`${name} ...\n`)
    const result = await runScenario(name)
    if (result === null) continue
    finished[name] = result
    console.log(`${markdown(result, result.report)}\n`)
    process.stderr.write(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
  }
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ machine: machine(), scenarios: finished }, null, 2)}\n`)
  if (values.write) writeDocument(finished, commandOf('npm run bench'))
  if (Object.keys(finished).length < names.length) process.exitCode = 1
}

async function runScenario(name: string): Promise<Finished | null> {
  const order: Order = {
    scenario: name,
    quick: values.quick,
    only: values.contenders?.split(',') ?? null,
    stores: storesOf(values.stores),
    size: bytesOf(values.size ?? (values.quick ? '64m' : '1g')),
    entries: values.entries?.split(',').map(Number) ?? null,
  }
  const child = fork(new URL('lib/scenario-process.ts', import.meta.url), [JSON.stringify(order)], {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  })
  let result: Finished | null = null
  child.on('message', (message: Finished) => (result = message))
  const [code] = await once(child, 'exit')
  if (code !== 0) console.log(`${name} failed with exit code ${code}\n`)
  return result
}

/** memory, redis, ...: null for all. */
function storesOf(text: string | undefined): StoreKind[] | null {
  if (text === undefined) return null
  const kinds: StoreKind[] = ['memory', ...BACKENDS.map(({ store }) => store)]
  return text.split(',').map((name) => {
    const found = kinds.find((kind) => kind === name)
    if (found === undefined) throw new Error(`--stores ${name}: there are ${kinds.join(', ')}`)
    return found
  })
}

/** 64m, 1g, 1000. */
function bytesOf(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([kmg]?)$/.exec(text) ?? []
  if (digits === undefined) throw new Error(`--size ${text}: expected a number of bytes such as 65536, 64m or 1g`)
  return Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit)
}
