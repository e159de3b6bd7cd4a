/** One scenario in a process of its own, with its own origin: `fork`ed by run.ts, which gets the report as a message. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { load } from './load.ts'
import { startOrigin } from './origin-process.ts'
import type { Report, Scenario } from './types.ts'

/** What run.ts sends as the one argument, as JSON. */
export interface Order {
  readonly scenario: string
  readonly quick: boolean
  readonly only: readonly string[] | null
  readonly size: number
  readonly entries: readonly number[] | null
}

export interface Finished {
  readonly title: string
  readonly about: string
  readonly report: Report
}

const { scenario: name, quick, only, size, entries } = JSON.parse(process.argv[2] ?? '') as Order
const log = (line: string): void => void process.stderr.write(`${line}\n`)

const { scenario } = (await import(new URL(`../scenarios/${name}.ts`, import.meta.url).href)) as { scenario: Scenario }
const { contenders, floors } = await load(only, log)
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

try {
  const report = await scenario.run({ quick, contenders, floors, origin, size, entries, tmp, log })
  const finished: Finished = { title: scenario.title, about: scenario.about, report }
  await new Promise((resolve) => process.send?.(finished, resolve))
} finally {
  await origin.close()
  rmSync(root, { recursive: true, force: true })
}
// Some contenders leave timers and sockets behind.
process.exit(0)
