/** One configuration in a process of its own, because the suite's runner keeps its state in module variables and writes into its tests. */
import { getResults, runTests } from 'http-cache-tests/client/runner.mjs'
import { adapt, assertUnused } from './adapter.ts'
import { applicable } from './applicability.ts'
import type { Configuration, SubjectName } from './configuration.ts'
import { createBareSubject, createUndiciSubject } from './peers.ts'
import { startSuiteServer } from './server.ts'
import { createSubject } from './subject.ts'
import type { Subject } from './subject.ts'
import { withDependencies } from './suite.ts'
import type { RawResults } from './suite.ts'

export interface Job {
  readonly configuration: Configuration
  readonly subject: SubjectName
  /** Only this test and what it depends on. */
  readonly id: string | null
}

export interface Report {
  readonly results: RawResults
  readonly milliseconds: number
}

/** All tests of the suite at once: it sleeps 3 s in most of them, so that a run lasts as long as its longest test, about 10 s. */
const CHUNK = 1000
/** FerretDB reads its whole collection for a replace: so many at once is what it answers in time. */
const CHUNK_OF: Readonly<Record<string, number>> = { mongodb: 24, dynamodb: 160 }
/** Whatever has no result by then hangs, and is reported so. */
const PATIENCE = 240_000

async function run(job: Job): Promise<Report> {
  assertUnused()
  const wanted = job.id === null ? null : withDependencies(job.id)
  const groups = applicable(job.configuration.type).map((group) => ({
    ...group,
    tests: group.tests
      .filter((test) => wanted === null || wanted.has(test.id))
      .map((test) => ({ ...test, dump: test.id === job.id })),
  }))
  const server = await startSuiteServer()
  const subject = await makeSubject(job)
  const start = performance.now()
  const patience = Promise.withResolvers<void>()
  const timer = setTimeout(patience.resolve, PATIENCE)
  await Promise.race([
    runTests(groups, adapt(subject.fetch), false, server.url, CHUNK_OF[job.configuration.store] ?? CHUNK),
    patience.promise,
  ])
  clearTimeout(timer)
  const report = { results: getResults(), milliseconds: performance.now() - start }
  await subject.close()
  await server.close()
  return report
}

function makeSubject({ subject, configuration }: Job): Subject | Promise<Subject> {
  const options = { shared: configuration.type === 'shared', store: configuration.store }
  if (subject === 'undici') return createUndiciSubject(options)
  return subject === 'bare' ? createBareSubject() : createSubject(options)
}

const report = await run(JSON.parse(process.argv[2] ?? '') satisfies Job)
process.send?.(report, () => process.disconnect())
