/** What the checklist's suites share: one origin and one clock that both sides read, so that Date and age agree. */
import { afterAll, beforeAll, beforeEach } from 'vitest'
import {
  CachedSession,
  createCachedFetch,
  type CachedFetch,
  type CachedResponse,
  type CacheOptions,
  type SessionOptions,
} from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin, type OriginAnswer } from '../../src/testing/index.ts'

/** Whole seconds, as HTTP dates have them. */
const START = Date.UTC(2030, 0, 1)

export interface Bench {
  readonly clock: FakeClock
  readonly origin: LocalOrigin
  /** A session under the origin. */
  session(options?: SessionOptions): CachedSession
  cached(options?: CacheOptions): CachedFetch
  /** The origin's answer to every request for a path. */
  answer(path: string, answer: OriginAnswer): void
  seconds(seconds: number): void
}

/** For the top of a file: the origin lives as long as its tests; log and clock start anew with each. */
export function useBench(): Bench {
  const clock = new FakeClock(START)
  let running: LocalOrigin | null = null
  const origin = (): LocalOrigin => {
    if (running === null) throw new Error('the origin runs only while tests do')
    return running
  }
  beforeAll(async () => {
    running = await startOrigin({ now: () => clock.now() })
  })
  afterAll(() => running?.close())
  beforeEach(() => {
    origin().reset()
    clock.set(START)
  })
  return {
    clock,
    get origin() {
      return origin()
    },
    session: (options = {}) => new CachedSession({ baseUrl: origin().url, clock, ...options }),
    cached: (options = {}) => createCachedFetch({ clock, ...options }),
    answer: (path, answer) => origin().route(path, () => answer),
    seconds: (seconds) => clock.advance(seconds * 1000),
  }
}

/** The body of a response to come, read to its end: then it is stored. */
export async function text(response: Promise<CachedResponse>): Promise<string> {
  return (await response).text()
}

/** Reads the body and says what was got: the status, and whether it came from the store. */
export async function got(response: Promise<CachedResponse>): Promise<[status: number, fromCache: boolean]> {
  const { status, fromCache } = await response
  await (await response).text()
  return [status, fromCache]
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400 && !(await holds()); tries++) await new Promise((resolve) => setTimeout(resolve, 5))
  if (!(await holds())) throw new Error('it never came to hold')
}
