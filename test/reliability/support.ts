/** What the reliability suites share. Every case counts at the origin and compares bytes; none measures time. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'

export { bench, STORES, until, type Bench } from '../engine/support.ts'

export const FRESH: Readonly<Record<string, string>> = { 'cache-control': 'max-age=60' }

/** Whether time is no matter: then the long cases run at their full length, else at a part of it. */
export const THOROUGH: boolean = process.env['KEEPFRESH_REQUIRE_SERVICES'] === '1'

/** One origin for a file of tests, its log empty before each. */
export function useOrigin(): () => LocalOrigin {
  let origin: LocalOrigin | undefined
  const get = (): LocalOrigin => {
    if (origin === undefined) throw new Error('the origin runs only inside tests')
    return origin
  }
  beforeAll(async () => {
    origin = await startOrigin()
  })
  afterAll(() => get().close())
  beforeEach(() => get().reset())
  return get
}

/** A path no other test has used. */
let serial = 0
export function fresh(name: string): string {
  serial += 1
  return `/${name}-${serial}`
}

/** A new SQLite file in a folder of its own. */
export function newFile(): string {
  return join(mkdtempSync(join(tmpdir(), 'keepfresh-reliability-')), 'http.db')
}

/** A fetch that answers from a function: for cases in which no wire is needed. */
export function answering(
  answer: (request: Request, n: number) => Response | Promise<Response>,
): typeof globalThis.fetch & { readonly count: () => number } {
  let n = 0
  const fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    answer(new Request(input, init), (n += 1))
  return Object.assign(fetch, { count: () => n })
}

/** Waits until what is due in this turn of the event loop, and the next few, has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
