/**
 * Between the suite's runner and a cached fetch, or the plain one in front of an edge: takes out what the runner puts in against the platform's own cache.
 *
 * The runner (client/fetching.mjs) was written for uncached fetches in front of a proxy: it asks for `cache: 'no-store'`, so that the
 * client's own cache stays out of it, and, since the Fetch standard makes that mode add `Pragma: no-cache` and `Cache-Control: no-cache`,
 * it adds the dummies `Pragma: foo` and `Cache-Control: nothing-to-see-here` to keep those away. Here the cache under test *is*
 * the fetch. Left in, the mode would switch it off. The dummies have lost their reason with the mode, and they are not inert: a request with
 * Cache-Control makes Pragma void (RFC 9111 section 5.4) and keeps fetch from adding the `Cache-Control: max-age=0` that one test looks for.
 * So all three go, and what remains is the request the test's author wrote. No test uses them itself; `assertUnused` makes sure.
 */
import { GROUPS } from './suite.ts'
import type { SuiteFetch, SuiteInit } from './suite.ts'

const DUMMIES: readonly (readonly [string, string])[] = [
  ['Pragma', 'foo'],
  ['Cache-Control', 'nothing-to-see-here'],
]

/** The fetch to hand to the runner. */
export function adapt(fetch: SuiteFetch): SuiteFetch {
  return (url, init = {}) => fetch(url, clean(init))
}

function clean({ cache, headers = [], ...rest }: SuiteInit): SuiteInit {
  const kept = headers.filter(([name, value]) => !isDummy(name, value))
  return { ...rest, headers: kept, ...(cache === undefined || cache === 'no-store' ? {} : { cache }) }
}

function isDummy(name: string, value: string): boolean {
  return DUMMIES.some(([dummy, content]) => dummy === name && content === value)
}

/** Throws where a test of the suite means what `adapt` takes out. */
export function assertUnused(): void {
  for (const test of GROUPS.flatMap((group) => group.tests)) {
    for (const request of test.requests) {
      const dummy = (request.request_headers ?? []).some(([name, value]) => isDummy(name, value))
      if (dummy || request.cache === 'no-store') throw new Error(`test ${test.id} uses what the adapter takes out`)
    }
  }
}
