/**
 * Which tests say something about which cache.
 *
 * Rule 1: Surrogate-Control is a W3C note of 2001, not HTTP, and not in the suite's own index either: never.
 * Rule 2: `browser_only` marks tests for private caches: not for a shared one.
 * Rule 3: `browser_skip` marks two things alike: tests for shared caches, and tests a browser's fetch cannot see (redirects, a 304
 *         handed to the caller). Our client shows both, so only the former, listed here by name, are left out for a private cache.
 * Rule 4: two tests carry no flag although their directives bind shared caches only.
 */
import { GROUPS_OF, type CacheType, type Configuration } from './configuration.ts'
import { GROUPS, withDependencies } from './suite.ts'
import type { SuiteTest, TestGroup } from './suite.ts'

const S_MAXAGE = 's-maxage is for shared caches (RFC 9111 section 5.2.2.10)'
const AUTHORIZATION =
  'storing answers to authenticated requests is restricted for shared caches only (RFC 9111 section 3.5)'

/** Tests that do not bind a private cache, and why. */
export const SHARED_ONLY: Readonly<Record<string, string>> = {
  'freshness-s-maxage-shared': S_MAXAGE,
  'freshness-max-age-s-maxage-shared-longer': S_MAXAGE,
  'freshness-max-age-s-maxage-shared-longer-reversed': S_MAXAGE,
  'freshness-max-age-s-maxage-shared-longer-multiple': S_MAXAGE,
  'freshness-max-age-s-maxage-shared-shorter': S_MAXAGE,
  'freshness-max-age-s-maxage-shared-shorter-expires': S_MAXAGE,
  'stale-close-s-maxage=2': S_MAXAGE,
  'stale-close-proxy-revalidate': 'proxy-revalidate does not apply to private caches (RFC 9111 section 5.2.2.8)',
  'cc-resp-private-shared': 'private forbids storing in shared caches only (RFC 9111 section 5.2.2.7)',
  'other-authorization': AUTHORIZATION,
  'other-authorization-public': AUTHORIZATION,
  'other-authorization-must-revalidate': AUTHORIZATION,
  'other-authorization-smaxage': AUTHORIZATION,
}

/** What `browser_skip` marks because a browser hides it: these tests bind every cache. */
const HIDDEN_BY_BROWSERS = /^(status-3\d\d-|conditional-)/

/** Why a test says nothing about this cache; null: it applies. */
export function notApplicable(group: TestGroup, test: SuiteTest, type: CacheType): string | null {
  if (group.id === 'surrogate-control') return 'Surrogate-Control is not part of HTTP caching (W3C note, 2001)'
  if (type === 'shared') return test.browser_only === true ? 'for private caches (browser_only)' : null
  return SHARED_ONLY[test.id] ?? null
}

/** The tests that are run over the configuration's store, with all that they depend on; null: every one. */
export function chosen({ store }: Configuration): ReadonlySet<string> | null {
  const groups = GROUPS_OF[store]
  if (groups === undefined) return null
  const tests = GROUPS.filter(({ id }) => groups.has(id)).flatMap((group) => group.tests)
  return new Set(tests.flatMap(({ id }) => [...withDependencies(id)]))
}

/** The suite without what does not apply, its `browser_only` flags lifted (the runner would leave those tests out). */
export function applicable(type: CacheType): readonly TestGroup[] {
  return GROUPS.map((group) => ({
    ...group,
    tests: group.tests
      .filter((test) => notApplicable(group, test, type) === null)
      .map((test) => ({ ...test, browser_only: false })),
  }))
}

/** A newer suite may have tests that nobody has sorted yet: they are named here, and fail the run. */
export function unsorted(): readonly string[] {
  const known = new Set(GROUPS.flatMap((group) => group.tests).map((test) => test.id))
  const groups = new Set(GROUPS.map((group) => group.id))
  const lost = Object.values(GROUPS_OF).flatMap((ids) => [...ids].filter((id) => !groups.has(id)))
  const gone = Object.keys(SHARED_ONLY).filter((id) => !known.has(id))
  const skipped = GROUPS.filter((group) => group.id !== 'surrogate-control')
    .flatMap((group) => group.tests)
    .filter((test) => test.browser_skip === true && !HIDDEN_BY_BROWSERS.test(test.id) && !(test.id in SHARED_ONLY))
  return [
    ...lost.map((id) => `${id} is in GROUPS_OF, but not in the suite`),
    ...gone.map((id) => `${id} is in SHARED_ONLY, but not in the suite`),
    ...skipped.map((test) => `${test.id} is flagged browser_skip: does it bind a private cache?`),
  ]
}
