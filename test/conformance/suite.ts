/** The outside suite as data: its groups and tests, and the words for what came of them. */
import groups from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

/** Required: the suite's author reads a MUST. Optimal: a cache may do less. Check: a question, not a demand. */
export type Kind = 'required' | 'optimal' | 'check'

export interface TestRequest {
  readonly cache?: string
  readonly request_headers?: readonly (readonly [string, string])[]
  readonly [member: string]: unknown
}

export interface SuiteTest {
  readonly id: string
  readonly name: string
  /** Absent means required. */
  readonly kind?: Kind
  readonly depends_on?: readonly string[]
  readonly browser_only?: boolean
  readonly browser_skip?: boolean
  readonly requests: readonly TestRequest[]
  /** Set by the harness: the runner and the server print what passes. */
  readonly dump?: boolean
}

export interface TestGroup {
  readonly id: string
  readonly name: string
  readonly tests: readonly SuiteTest[]
}

/** As the runner gives them: true, or the name and message of what was thrown. */
export type RawResults = Readonly<Record<string, true | readonly [name: string, message: string]>>

/** What the runner needs of a response. */
export interface SuiteResponse {
  readonly status: number
  readonly statusText: string
  readonly headers: Iterable<[string, string]> & {
    get(name: string): string | null
    has(name: string): boolean
    forEach(callback: (value: string, name: string) => void): void
  }
  text(): Promise<string>
}

/** What the runner calls fetch with. */
export interface SuiteInit {
  readonly method?: string
  readonly headers?: [string, string][]
  readonly body?: string
  readonly cache?: 'default' | 'no-store' | 'reload' | 'no-cache' | 'force-cache' | 'only-if-cached'
  readonly redirect?: 'follow' | 'error' | 'manual'
}

export type SuiteFetch = (url: string, init?: SuiteInit) => Promise<SuiteResponse>

/** Every group, the Surrogate-Control one included. */
export const GROUPS: readonly TestGroup[] = [...groups, surrogate]

const TESTS: ReadonlyMap<string, SuiteTest> = new Map(
  GROUPS.flatMap((group) => group.tests).map((test) => [test.id, test]),
)

/** The test of that id, or undefined. */
export function findTest(id: string): SuiteTest | undefined {
  return TESTS.get(id)
}

export function kindOf(test: SuiteTest): Kind {
  return test.kind ?? 'required'
}

/** The id and those of all tests it depends on, directly or not. */
export function withDependencies(id: string): ReadonlySet<string> {
  const wanted = new Set([id])
  for (const each of wanted) for (const dependency of findTest(each)?.depends_on ?? []) wanted.add(dependency)
  return wanted
}
