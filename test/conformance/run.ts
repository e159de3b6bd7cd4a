/**
 * Runs the outside suite http-cache-tests against keepfresh (or a peer): see README.md here.
 *
 *   node test/conformance/run.ts [--private] [--shared] [--store memory|sqlite|file|...] [--edge node|express|...] [--id TEST] [--json] [--subject keepfresh|undici|bare]
 *
 * Exit code 0: as expected-failures.json says. 1: not so. 2: the run itself went wrong.
 */
import { fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { chosen, unsorted } from './applicability.ts'
import { EDGES, LEFT_OUT, MISSING, nameOf, runnable, STORES } from './configuration.ts'
import type { Configuration, SubjectName } from './configuration.ts'
import { judge, listProblems } from './judge.ts'
import type { ExpectedFailure } from './judge.ts'
import { count, lastLine, print } from './report.ts'
import type { Run } from './report.ts'
import { GROUPS, findTest } from './suite.ts'
import type { Job, Report } from './worker.ts'

const AT_ONCE = 4
const TOTAL = GROUPS.flatMap((group) => group.tests).length

interface Options {
  readonly configurations: readonly Configuration[]
  /** No store and no edge is named. */
  readonly all: boolean
  readonly subject: SubjectName
  readonly id: string | null
  readonly json: boolean
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      private: { type: 'boolean', default: false },
      shared: { type: 'boolean', default: false },
      store: { type: 'string' },
      edge: { type: 'string' },
      id: { type: 'string' },
      json: { type: 'boolean', default: false },
      subject: { type: 'string', default: 'keepfresh' },
    },
  })
  const { subject, id } = values
  if (subject !== 'keepfresh' && subject !== 'undici' && subject !== 'bare') throw new Error(`no subject '${subject}'`)
  const [store, edge] = [oneOf(STORES, values.store, 'store'), oneOf(EDGES, values.edge, 'edge')]
  if (id !== undefined && findTest(id) === undefined) throw new Error(`the suite has no test '${id}'`)
  const types = values.private === values.shared ? ['private', 'shared'] : [values.private ? 'private' : 'shared']
  const configurations = runnable({ ...(store && { store }), ...(edge && { edge }) })
    .filter((each) => types.includes(each.type))
    // A peer is a fetch.
    .filter((each) => subject === 'keepfresh' || each.edge === undefined)
  const all = store === undefined && edge === undefined
  return { configurations, all, subject, id: id ?? null, json: values.json }
}

function oneOf<T extends string>(known: readonly T[], given: string | undefined, what: string): T | undefined {
  const found = known.find((each) => each === given)
  if (given !== undefined && found === undefined)
    throw new Error(`no ${what} '${given}': there are ${known.join(', ')}`)
  return found
}

/** The worker's report; its output goes to ours only when one test is looked at. */
function work(job: Job): Promise<Report> {
  const child = fork(new URL('worker.ts', import.meta.url), [JSON.stringify(job)], {
    stdio: ['ignore', job.id === null ? 'ignore' : 2, 'inherit', 'ipc'],
  })
  return new Promise((resolve, reject) => {
    let report: Report | null = null
    child.once('message', (message) => (report = message as Report))
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (report !== null && code === 0) resolve(report)
      else reject(new Error(`${nameOf(job.configuration)}: the worker ended with ${signal ?? code}`))
    })
  })
}

async function main(): Promise<number> {
  const { configurations, all, subject, id, json } = options()
  const judged = subject === 'keepfresh'
  const file = await readFile(new URL('expected-failures.json', import.meta.url), 'utf8')
  const list: readonly ExpectedFailure[] = judged ? JSON.parse(file) : []
  const problems = [...unsorted(), ...listProblems(list), ...missing(all)]
  const reports = await inTurns(configurations.map((configuration) => () => work({ configuration, subject, id })))
  const runs = configurations.map((configuration, index): Run => {
    const { results = {}, milliseconds = 0 } = reports[index] ?? {}
    const only = id === null ? chosen(configuration) : new Set([id])
    const verdicts = judge(configuration, results, list, only)
    return { configuration, milliseconds, verdicts, notRun: id === null ? TOTAL - verdicts.length : 0 }
  })
  const counts = count(runs)
  for (const problem of problems) console.error(problem)
  if (configurations.length === 0) throw new Error(`nothing to run: no server for ${MISSING.join(', ') || 'any'}`)
  console.log(json ? JSON.stringify({ subject, counts, problems, runs }, null, 2) : print(runs, judged))
  // JSON on stdout stays JSON: the line for machines is inside as `counts`, and on stderr.
  if (json) console.error(lastLine(counts))
  else console.log(`\n${lastLine(counts)}`)
  return judged && (counts.failed > 0 || problems.length > 0) ? 1 : 0
}

/** In CI, where every server has to be there, one that is not is a problem; elsewhere its stores are named, and left out. */
function missing(all: boolean): readonly string[] {
  if (!all || LEFT_OUT.length === 0) return []
  const what = `not run, no server: ${LEFT_OUT.join(', ')}`
  const required = process.env['KEEPFRESH_REQUIRE_SERVICES'] ?? ''
  if (required !== '' && required !== '0') return [what]
  console.error(what)
  return []
}

/** A few at a time: each is hundreds of requests at once, and has the machine's two cores to share. */
async function inTurns<T>(jobs: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = []
  const left = jobs.entries()
  const next = async (): Promise<void> => {
    for (const [at, job] of left) results[at] = await job()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  return results
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error)
  process.exitCode = 2
}
