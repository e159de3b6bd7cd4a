/**
 * Caching async functions: node bench/functions.ts [functions-hit|functions-miss|functions-herd|functions-many|functions-redis]... [--quick] [--write]
 *
 * Hits, misses, a herd and many keys at once, on caches in memory: all contenders take turns in one process (lib/race.ts). Then the same over
 * Redis, which is started where the environment names none. Renews its sections of docs/benchmarks.md with --write.
 */
import { fork } from 'node:child_process'
import { parseArgs } from 'node:util'
import { commandOf, writeDocument } from './lib/document.ts'
import { describe, machine } from './lib/machine.ts'
import { installPeers } from './lib/peers.ts'
import type { Finished } from './lib/scenario-process.ts'
import { rerunWithServers, serverOf, wantsServers } from './lib/services.ts'
import { markdown } from './lib/tables.ts'
import { memorySections } from './functions/memory.ts'
import { redisSection } from './functions/redis.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, write: { type: 'boolean', default: false } },
})
const NAMES = ['functions-hit', 'functions-miss', 'functions-herd', 'functions-many', 'functions-redis']
const unknown = positionals.filter((name) => !NAMES.includes(name))
if (unknown.length > 0) throw new Error(`no section ${unknown.join(', ')}; there are ${NAMES.join(', ')}`)
const names = positionals.length === 0 ? NAMES : NAMES.filter((name) => positionals.includes(name))

if (globalThis.gc === undefined) {
  installPeers()
  const child = fork(new URL(import.meta.url), process.argv.slice(2), {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  })
  child.on('exit', (code) => (process.exitCode = code ?? 1))
} else {
  await runAll()
  process.exit()
}

async function runAll(): Promise<void> {
  if (names.includes('functions-redis') && wantsServers(['redis'])) {
    process.exitCode = rerunWithServers(['redis'])
    return
  }
  console.log(`${describe(machine())}\n`)
  const sections = { ...memorySections, 'functions-redis': redisSection }
  const finished: Record<string, Finished> = {}
  for (const [name, section] of Object.entries(sections)) {
    if (!names.includes(name)) continue
    process.stderr.write(`${name} ...\n`)
    const { title, about } = section
    finished[name] = { title, about, report: await section.run(values.quick, serverOf('redis')) }
    console.log(`${markdown({ title, about }, finished[name].report)}\n`)
  }
  if (values.write) writeDocument(finished, commandOf('npm run bench -- --functions'))
}
