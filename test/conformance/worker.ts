/** One configuration in a process of its own, because the suite's runner keeps its state in module variables and writes into its tests. */
import { getResults, runTests } from 'http-cache-tests/client/runner.mjs'
import { adapt, assertUnused } from './adapter.ts'
import { applicable, chosen } from './applicability.ts'
import type { Configuration, SubjectName } from './configuration.ts'
import { paced } from './pace.ts'
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

/** All tests of the suite in one go: it sleeps 3 s in most of them, so that a run lasts little longer than its longest test, about 10 s. */
const CHUNK = 1000
/** Requests that may be under way when a test starts (pace.ts). */
const AT_ONCE = 8
/** DynamoDB Local is slow, and FerretDB reads its whole collection to remove one document. */
const AT_ONCE_OF: Readonly<Record<string, number>> = { dynamodb: 3, mongodb: 2 }
/** Whatever has no result by then hangs, and is reported so. */
const PATIENCE = 240_000

async function run(job: Job): Promise<Report> {
  assertUnused()
  const wanted = job.id === null ? chosen(job.configuration) : withDependencies(job.id)
  const groups = applicable(job.configuration.type).map((group) => ({
    ...group,
    tests: group.tests
      .filter((test) => wanted === null || wanted.has(test.id))
      .map((test) => ({ ...test, dump: test.id === job.id })),
  }))
  const server = await startSuiteServer()
  const subject = await makeSubject(job, server.url)
  const fetch = paced(adapt(subject.fetch), AT_ONCE_OF[job.configuration.store] ?? AT_ONCE)
  const start = performance.now()
  const patience = Promise.withResolvers<void>()
  const timer = setTimeout(patience.resolve, PATIENCE)
  await Promise.race([runTests(groups, fetch, false, subject.url ?? server.url, CHUNK), patience.promise])
  clearTimeout(timer)
  const report = { results: getResults(), milliseconds: performance.now() - start }
  await subject.close()
  await server.close()
  return report
}

function makeSubject({ subject, configuration }: Job, origin: string): Subject | Promise<Subject> {
  const { type, store } = configuration
  if (subject === 'undici') return createUndiciSubject({ shared: type === 'shared', store })
  return subject === 'bare' ? createBareSubject() : createSubject(configuration, origin)
}

const report = await run(JSON.parse(process.argv[2] ?? '') satisfies Job)
process.send?.(report, () => process.disconnect())
