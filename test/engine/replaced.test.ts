/** What a caller had fetched anew is what the next one is given, however long its store takes to write (rows 93, 94; features S10, S11). */
import { afterEach, expect, test } from 'vitest'
import { CachedSession, type CachedRequestInit } from '../../src/index.ts'
import { FarStore } from './support.ts'

const open: CachedSession[] = []
afterEach(() => Promise.all(open.splice(0).map((session) => session.close())))

const DEMANDS: readonly [string, CachedRequestInit][] = [
  ['refresh', { httpCache: { refresh: true } }],
  ['forceRefresh', { httpCache: { forceRefresh: true } }],
  ['cache: reload', { cache: 'reload' }],
  ['cache: no-cache', { cache: 'no-cache' }],
  ['Cache-Control: no-cache', { headers: { 'Cache-Control': 'no-cache' } }],
]

const CASES = DEMANDS.flatMap(([name, demand]) => [false, true].map((isNear) => [name, isNear, demand] as const))

test.each(CASES)(
  '%s: the next request has the new body while it is being written (read at once: %s)',
  async (...given) => {
    const [, isNear, demand] = given
    const store = new FarStore(isNear)
    let version = 0
    const answer = async (): Promise<Response> => {
      version += 1
      return new Response(`v${version}`, { headers: { ETag: `"${version}"`, 'Cache-Control': 'max-age=60' } })
    }
    const session = new CachedSession({ store, fetch: answer, autoClose: true })
    open.push(session)
    const body = async (init: CachedRequestInit = {}): Promise<string> =>
      (await session.fetch('http://a.test/x', init)).text()

    expect([await body(), await body()]).toEqual(['v1', 'v1'])
    store.writesAfter = Promise.withResolvers()
    expect(await body(demand)).toBe('v2')
    const next = body()
    setImmediate(() => store.writesAfter?.resolve())
    expect(await next).toBe('v2')
    expect(await body()).toBe('v2')
    expect(version).toBe(2)
  },
)
