/**
 * What the suites share in which a store's server fails: an origin, a cached fetch over the store, what its answers say, and processes
 * of their own.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest'
import { cacheInfo, createCachedFetch, type CachedFetch, type Store } from '../../src/index.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'

export interface Subject<S extends Store = Store> {
  readonly fetch: CachedFetch
  readonly store: S
  /** The codes of its error events. */
  readonly codes: string[]
}

/** A cached fetch over a store, both closed after the test. `storeTimeout` is in seconds: short, so that faults are over soon. */
export function subjectOf<S extends Store>(store: S, storeTimeout: number): Subject<S> {
  const fetch = createCachedFetch({ store, storeTimeout })
  const codes: string[] = []
  fetch.on('error', ({ error }) => codes.push(error.code))
  onTestFinished(async () => {
    await fetch.close()
    await store.close()
  })
  return { fetch, store, codes }
}

/** An origin for all tests of a file; nothing may escape while it is there. */
export interface FaultOrigin {
  /** Where it is. */
  readonly url: () => string
  /** One request for /thing; whether it was a hit. The body is right in any case. */
  readonly ask: (subject: Subject) => Promise<boolean>
  /** Hits come back, two in a row: after a while without the store, the engine tries it again. */
  readonly recovers: (subject: Subject) => Promise<void>
}

export function faultOrigin(): FaultOrigin {
  let origin: LocalOrigin
  const escaped: unknown[] = []
  const escape = (reason: unknown): void => void escaped.push(reason)
  beforeAll(async () => {
    origin = await startOrigin()
    process.on('unhandledRejection', escape)
  })
  afterAll(async () => {
    process.off('unhandledRejection', escape)
    await origin.close()
    expect(escaped).toEqual([])
  })
  beforeEach(() => {
    origin.reset()
    origin.route('/thing', () => ({ headers: { 'cache-control': 'max-age=3600' }, body: 'the thing' }))
  })

  const url = (): string => origin.url

  async function ask({ fetch }: Subject): Promise<boolean> {
    const response = await fetch(`${origin.url}/thing`)
    expect([response.status, await response.text()]).toEqual([200, 'the thing'])
    return isStored(response)
  }

  async function recovers(subject: Subject): Promise<void> {
    let hits = 0
    for (let tries = 0; tries < 800 && hits < 2; tries++) {
      hits = (await ask(subject)) ? hits + 1 : 0
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    expect(hits).toBe(2)
  }

  return { url, ask, recovers }
}

/** Whether a response came from the store, not from what is still being written to it. */
export function isStored(response: Response & { readonly fromCache?: boolean }): boolean {
  return response.fromCache === true && cacheInfo(response)?.collapsed === false
}

/** What a process says that uses a store of these options, for a URL or alone (`*-process.ts`). */
export async function processSays(
  script: string,
  options: object,
  url: string,
  { nodeArgs = [], env }: { readonly nodeArgs?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const args = [...nodeArgs, path, JSON.stringify(options), url]
  const { stdout } = await promisify(execFile)(process.execPath, args, env === undefined ? {} : { env })
  return stdout.trim()
}

/** Arguments of Node.js that hide a package, as if it were not installed. */
export function hiding(name: string): readonly string[] {
  const hide = `import { registerHooks } from 'node:module'
    registerHooks({ resolve: (name, context, next) => next(name === '${name}' ? 'not-there' : name, context) })`
  return ['--import', `data:text/javascript,${encodeURIComponent(hide)}`]
}
