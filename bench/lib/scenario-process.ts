/** One scenario in a process of its own, with its own origin: `fork`ed by run.ts, which gets the report as a message. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from './attempt.ts'
import { load } from './load.ts'
import { startOrigin } from './origin-process.ts'
import type { Report, Scenario, StoreKind } from './types.ts'

/** What run.ts sends as the one argument, as JSON. */
export interface Order {
  readonly scenario: string
  readonly quick: boolean
  readonly only: readonly string[] | null
  readonly stores: readonly StoreKind[] | null
  readonly size: number
  readonly entries: readonly number[] | null
}

export interface Finished {
  readonly title: string
  readonly about: string
  readonly report: Report
}

const { scenario: name, only, ...order } = JSON.parse(process.argv[2] ?? '') as Order
const log = (line: string): void => void process.stderr.write(`${line}\n`)

const { scenario } = (await import(new URL(`../scenarios/${name}.ts`, import.meta.url).href)) as { scenario: Scenario }
const loaded = await load(name, only)
const origin = await startOrigin()
const root = mkdtempSync(join(tmpdir(), 'keepfresh-bench-'))
let directories = 0
const tmp = (): string => mkdtempSync(join(root, `${++directories}-`))

// got's store warns on every hit: say it once, and do not let printing cost got its time.
const warned = new Set<string>()
console.warn = (...args: unknown[]) => {
  const line = args.join(' ').replaceAll(/\d+/g, 'N')
  if (!warned.has(line)) log(line)
  warned.add(line)
}

// What a contender throws where nobody can catch it would end the run for all: it is told instead.
const stray = new Set<string>()
process.on('uncaughtException', (error) => {
  if (!stray.has(messageOf(error))) log(`not caught: ${error.stack ?? String(error)}`)
  stray.add(messageOf(error))
})

try {
  const report = await scenario.run({ ...order, ...loaded, origin, tmp, log })
  const notes = [
    ...report.notes,
    ...loaded.absent.map((absent) => `${absent.name} could not be loaded: ${absent.why}`),
    ...[...stray].map((message) => `Somebody threw where nobody could catch it: ${message}`),
  ]
  const finished: Finished = { title: scenario.title, about: scenario.about, report: { ...report, notes } }
  await new Promise((resolve) => process.send?.(finished, resolve))
} catch (error) {
  log(error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = 1
} finally {
  await origin.close()
  rmSync(root, { recursive: true, force: true })
}
// Some contenders leave timers and sockets behind.
process.exit()
