/** `npm run bench`: see README.md beside this file. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { writeDocument } from './lib/document.ts'
import { describe, machine } from './lib/machine.ts'
import { installPeers } from './lib/peers.ts'
import type { Finished, Order } from './lib/scenario-process.ts'
import { markdown } from './lib/tables.ts'

/** In the order they are run and written. */
const ORDER = ['memory-hit', 'sqlite-hit', 'sqlite-size', 'miss', 'herd', 'large', 'delete-expired']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    contenders: { type: 'string' },
    size: { type: 'string' },
    entries: { type: 'string' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

const all = readdirSync(new URL('scenarios/', import.meta.url)).map((file) => file.replace(/\.ts$/, ''))
const unknown = positionals.filter((name) => !all.includes(name))
if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(', ')}; there are ${ORDER.join(', ')}`)
const names = ORDER.filter((name) => positionals.length === 0 || positionals.includes(name))

installPeers()
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
if (values.write) writeDocument(finished, commandOf())
if (Object.keys(finished).length < names.length) process.exitCode = 1

async function runScenario(name: string): Promise<Finished | null> {
  const order: Order = {
    scenario: name,
    quick: values.quick,
    only: values.contenders?.split(',') ?? null,
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

/** 64m, 1g, 1000. */
function bytesOf(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([kmg]?)$/.exec(text) ?? []
  if (digits === undefined) throw new Error(`--size ${text}: expected a number of bytes such as 65536, 64m or 1g`)
  return Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit)
}

/** The command as a reader would type it. */
function commandOf(): string {
  const args = process.argv
    .slice(2)
    .filter(
      (arg, i, list) => arg !== '--write' && arg !== '--json' && list[i - 1] !== '--json' && !arg.startsWith('--json='),
    )
  return args.length === 0 ? 'npm run bench' : `npm run bench -- ${args.join(' ')}`
}
