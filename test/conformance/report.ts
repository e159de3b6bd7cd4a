/** What the run prints: a line a configuration, then every failure with its reason. */
import { CONFIGURATIONS, nameOf, versionOf } from './configuration.ts'
import type { Configuration } from './configuration.ts'
import { isSurprise } from './judge.ts'
import type { Verdict } from './judge.ts'
import type { Kind } from './suite.ts'

export interface Run {
  readonly configuration: Configuration
  readonly verdicts: readonly Verdict[]
  /** Tests that do not apply to this cache type, or are not among those chosen for a slow store. */
  readonly notRun: number
  readonly milliseconds: number
}

export interface Counts {
  /** Required and optimal tests that pass. */
  readonly passed: number
  /** Not as expected: failures that are not listed, and listed ones that pass. */
  readonly failed: number
  /** Not judged: listed failures, and tests that are not run. Checks are in none of the three. */
  readonly skipped: number
}

export function count(runs: readonly Run[]): Counts {
  const judged = runs.flatMap((run) => run.verdicts).filter((verdict) => verdict.kind !== 'check')
  const failed = judged.filter(isSurprise).length
  const passed = judged.filter((verdict) => verdict.result === 'pass' && !isSurprise(verdict)).length
  const apart = runs.reduce((sum, run) => sum + run.notRun, 0)
  return { passed, failed, skipped: judged.length - passed - failed + apart }
}

/** The last line of every run, for machines. */
export function lastLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

/** `judged`: the list of expected failures applies; a peer is only counted. */
export function print(runs: readonly Run[], judged: boolean): string {
  const lines = runs.map(summary)
  if (judged) {
    lines.push(...section('Expected failures (expected-failures.json)', expected(runs)))
    lines.push(...section('FAILED, and not in expected-failures.json', unexpected(runs)))
    lines.push(...section('PASSED, but in expected-failures.json: take it out', stale(runs)))
  } else {
    lines.push(...section('Failures', unexpected(runs)))
  }
  return lines.join('\n')
}

function summary(run: Run): string {
  const of = (kind: Kind): string => {
    const all = run.verdicts.filter((verdict) => verdict.kind === kind)
    return `${kind} ${all.filter((verdict) => verdict.result === 'pass').length}/${all.length}`
  }
  const checks = run.verdicts.filter((verdict) => verdict.kind === 'check')
  const yes = checks.filter((verdict) => verdict.result === 'yes').length
  const no = checks.filter((verdict) => verdict.result === 'no').length
  const rest = checks.length - yes - no
  const judged = run.verdicts.filter((verdict) => verdict.kind !== 'check')
  const share = (100 * judged.filter((verdict) => verdict.result === 'pass').length) / Math.max(judged.length, 1)
  const check = `check ${yes} yes ${no} no${rest === 0 ? '' : ` ${rest} undecided`}`
  const name = nameOf(run.configuration).padEnd(16)
  const server = versionOf(run.configuration.store)
  const time = `${(run.milliseconds / 1000).toFixed(1)} s`
  return `${name} ${of('required')}  ${of('optimal')}  (${share.toFixed(1)} %)  ${check}  ${run.notRun} not run  ${time}${server === null ? '' : `  ${server}`}`
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines]
}

function expected(runs: readonly Run[]): string[] {
  return grouped(
    runs,
    (verdict) => verdict.kind !== 'check' && verdict.result !== 'pass' && verdict.expected !== null,
  ).map(({ verdict, where }) => `  ${head(verdict, where)}\n    ${verdict.expected}`)
}

function unexpected(runs: readonly Run[]): string[] {
  return grouped(runs, (verdict) => verdict.result !== 'pass' && isSurprise(verdict)).map(
    ({ verdict, where }) => `  ${head(verdict, where)}\n    ${verdict.detail}`,
  )
}

function stale(runs: readonly Run[]): string[] {
  return grouped(runs, (verdict) => verdict.result === 'pass' && isSurprise(verdict)).map(
    ({ verdict, where }) => `  ${head(verdict, where)}`,
  )
}

function head(verdict: Verdict, where: string): string {
  return `${verdict.id} [${verdict.kind}: ${verdict.result}] ${where}`
}

/** One row a test, naming the configurations: most failures are the same in all. */
function grouped(runs: readonly Run[], wanted: (verdict: Verdict) => boolean): { verdict: Verdict; where: string }[] {
  const rows = new Map<string, { verdict: Verdict; names: string[] }>()
  for (const run of runs) {
    for (const verdict of run.verdicts.filter(wanted)) {
      const key = `${verdict.id} ${verdict.result} ${verdict.detail}`
      const row = rows.get(key) ?? { verdict, names: [] }
      row.names.push(nameOf(run.configuration))
      rows.set(key, row)
    }
  }
  return [...rows.values()].map(({ verdict, names }) => ({
    verdict,
    where: names.length === runs.length && runs.length === CONFIGURATIONS.length ? 'everywhere' : names.join(' '),
  }))
}
