/** A vitest reporter that adds one line to the end of a run: which suites were skipped for want of a server. */
import type { Reporter, TestModule } from 'vitest/node'
import { readSkipTitle } from './kinds.ts'

/** `skipped, no server: redis (KEEPFRESH_REDIS_URL), …`, or undefined when nothing was. */
export function skippedLine(titles: Iterable<string>): string | undefined {
  const missing = new Set<string>()
  for (const title of titles) {
    const what = readSkipTitle(title)
    if (what !== undefined) missing.add(what)
  }
  return missing.size === 0 ? undefined : `skipped, no server: ${[...missing].toSorted().join(', ')}`
}

/** Prints `skippedLine` of the run's suites on standard output. */
export default class SkippedServices implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const titles = modules.flatMap((module) => [...module.children.allSuites()].map((suite) => suite.name))
    const line = skippedLine(titles)
    if (line !== undefined) process.stdout.write(`\n${line}\n`)
  }
}
