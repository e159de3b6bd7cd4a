/** The parts of the outside suite that the harness uses; the package ships no types. */

declare module 'http-cache-tests/tests/index.mjs' {
  import type { TestGroup } from './suite.ts'
  const groups: TestGroup[]
  export default groups
}
declare module 'http-cache-tests/tests/surrogate-control.mjs' {
  import type { TestGroup } from './suite.ts'
  const group: TestGroup
  export default group
}
declare module 'http-cache-tests/lib/display.mjs' {
  import type { RawResults, TestGroup } from './suite.ts'
  /** Glyph, colour, symbol. */
  export function determineTestResult(
    groups: readonly TestGroup[],
    id: string,
    results: RawResults,
  ): readonly [string, string, string]
}
declare module 'http-cache-tests/client/runner.mjs' {
  import type { RawResults, SuiteFetch, TestGroup } from './suite.ts'
  export function runTests(
    groups: readonly TestGroup[],
    fetch: SuiteFetch,
    browserCache: boolean,
    base: string,
    chunkSize: number,
  ): Promise<void>
  export function getResults(): RawResults
}
declare module 'http-cache-tests/server/handle-config.mjs' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  export default function handle(path: string[], request: IncomingMessage, response: ServerResponse): void
}
declare module 'http-cache-tests/server/handle-state.mjs' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  export default function handle(path: string[], request: IncomingMessage, response: ServerResponse): void
}
declare module 'http-cache-tests/server/handle-test.mjs' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  export default function handle(path: string[], request: IncomingMessage, response: ServerResponse): void
}
