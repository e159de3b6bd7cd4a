/**
 * Turns raw results into verdicts, with the suite's own rule for what they mean (lib/display.mjs), and compares them with what is expected.
 *
 * Rule 1: a required or optimal test passes, or it is in expected-failures.json with a reason, or the run fails.
 * Rule 2: a test that is listed and passes fails the run, too: the list says what is so, not what once was.
 * Rule 3: a failed set-up and a failed dependency are not passes: they must be listed like any other failure.
 * Rule 4: a check is a question: yes or no, and nothing hangs on it (but for the tests that depend on it, see rule 3).
 */
import { determineTestResult } from 'http-cache-tests/lib/display.mjs'
import { notApplicable } from './applicability.ts'
import { CONFIGURATION_NAMES, covers } from './configuration.ts'
import type { CacheType, Configuration } from './configuration.ts'
import { GROUPS, findTest, kindOf } from './suite.ts'
import type { Kind, RawResults, SuiteTest } from './suite.ts'

export interface ExpectedFailure {
  readonly id: string
  /** `private`, `shared`, `edge`, or more particular: `shared/sqlite`, `edge/koa`. */
  readonly configurations: readonly string[]
  /** Why this is right, or why it cannot be otherwise: one or two sentences. */
  readonly reason: string
}

export type Result = 'pass' | 'fail' | 'yes' | 'no' | 'setup' | 'dependency' | 'retry' | 'hang'

export interface Verdict {
  readonly id: string
  readonly kind: Kind
  readonly result: Result
  /** What the runner said, where it was not satisfied; for a dependency, which. */
  readonly detail: string
  /** The reason from the list, or null: not listed. */
  readonly expected: string | null
}

const SYMBOLS: Readonly<Record<string, Result>> = {
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'fail',
  Y: 'yes',
  N: 'no',
  '🔹': 'setup',
  '⁉️': 'setup',
  '⚪️': 'dependency',
  '↻': 'retry',
  '-': 'hang',
}

/** The verdicts on one configuration; `only` limits them to some tests. */
export function judge(
  configuration: Configuration,
  results: RawResults,
  list: readonly ExpectedFailure[],
  only: ReadonlySet<string> | null,
): readonly Verdict[] {
  const verdicts: Verdict[] = []
  for (const group of GROUPS) {
    for (const test of group.tests) {
      if (notApplicable(group, test, configuration.type) !== null || (only !== null && !only.has(test.id))) continue
      const result = resultOf(test, results)
      verdicts.push({
        id: test.id,
        kind: kindOf(test),
        result,
        detail: detailOf(test, result, results),
        expected:
          list.find((entry) => entry.id === test.id && entry.configurations.some((name) => covers(name, configuration)))
            ?.reason ?? null,
      })
    }
  }
  return verdicts
}

function resultOf(test: SuiteTest, results: RawResults): Result {
  const [, , symbol] = determineTestResult(GROUPS, test.id, results)
  const result = SYMBOLS[symbol]
  if (result === undefined) throw new Error(`the suite has a new result '${symbol}' (${test.id})`)
  return result
}

function detailOf(test: SuiteTest, result: Result, results: RawResults): string {
  if (result === 'hang') return 'no result'
  if (result === 'dependency') {
    const unmet = (test.depends_on ?? []).filter((id) => {
      const dependency = findTest(id)
      return dependency === undefined || !['pass', 'yes'].includes(resultOf(dependency, results))
    })
    return `depends on ${unmet.join(', ')}; by itself: ${describe(results[test.id])}`
  }
  return describe(results[test.id])
}

function describe(raw: RawResults[string] | undefined): string {
  if (raw === undefined) return 'no result'
  return raw === true ? 'passed' : `${raw[0]}: ${raw[1]}`
}

/** Whether a verdict fails the run. */
export function isSurprise(verdict: Verdict): boolean {
  if (verdict.kind === 'check') return false
  return (verdict.result === 'pass') === (verdict.expected !== null)
}

/** What is wrong with the list itself. */
export function listProblems(list: readonly ExpectedFailure[]): readonly string[] {
  const problems: string[] = []
  const seen = new Set<string>()
  for (const { id, configurations, reason } of list) {
    const test = findTest(id)
    if (test === undefined) problems.push(`${id}: no such test`)
    else if (kindOf(test) === 'check') problems.push(`${id}: a check never fails`)
    if (seen.has(id)) problems.push(`${id}: listed twice`)
    if (reason.length < 20) problems.push(`${id}: a reason is a sentence`)
    for (const name of configurations)
      if (!CONFIGURATION_NAMES.has(name)) problems.push(`${id}: no configuration '${name}'`)
    const binds = (type: CacheType): boolean =>
      GROUPS.some((group) => group.tests.some((each) => each.id === id && notApplicable(group, each, type) === null))
    for (const type of new Set(configurations.map(typeOf)))
      if (!binds(type)) problems.push(`${id}: does not apply to a ${type} cache`)
    seen.add(id)
  }
  return problems
}

/** The cache type that a name of configurations is about; that of an edge is shared. */
function typeOf(name: string): CacheType {
  return name.startsWith('private') ? 'private' : 'shared'
}
