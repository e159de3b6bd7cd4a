/** Runs every example beside it, each in a process of its own: they check their own results. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const own = new Set(['run.ts', 'tour.ts'])
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.ts') && !own.has(name))
let failed = 0
for (const name of files) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, name)], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name}`)
  if (status !== 0) {
    failed += 1
    console.log(stdout, stderr)
  }
}
console.log(`${files.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
