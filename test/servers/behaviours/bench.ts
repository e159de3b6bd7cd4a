/** The neutral handler of a behaviour behind a cache, in one framework. */
import { afterEach, beforeEach, vi } from 'vitest'
import { FakeClock } from '../../../src/testing/index.ts'
import type { ServerCacheApi } from '../../../src/servers/api.ts'
import type { ServerCacheOptions } from '../../../src/servers/options.ts'
import type { Edge } from '../edges.ts'
import type { Handler, Running } from '../support.ts'

export interface Bench {
  readonly server: Running
  readonly cache: ServerCacheApi
  readonly clock: FakeClock
}

export interface Edges {
  serve(handler: Handler, options?: ServerCacheOptions): Promise<Bench>
  /** Closed after the test. */
  readonly open: { close(): Promise<void> }[]
}

/** Benches on an edge; for the tests of one `describe`. */
export function benches({ start }: Edge): Edges {
  const open: Edges['open'] = []
  beforeEach(() => {
    // Some adaptors say on the console what a handler threw.
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    for (const each of open.splice(0).toReversed()) await each.close()
  })
  const serve: Edges['serve'] = async (handler, options = {}) => {
    const clock = new FakeClock()
    const { server, cache } = await start(handler, { clock, ...options })
    open.push(server)
    return { server, cache, clock }
  }
  return { serve, open }
}

export const FRESH = { 'Cache-Control': 'max-age=60' }

/** A body whose second half never comes. */
export async function* breaking(begin: string): AsyncGenerator<string> {
  yield begin
  await new Promise((resolve) => setTimeout(resolve, 20))
  throw new Error('the database went away')
}
