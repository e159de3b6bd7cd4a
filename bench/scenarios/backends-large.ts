import { raceLarge } from '../lib/large-race.ts'
import { serverOf } from '../lib/services.ts'
import type { Scenario } from '../lib/types.ts'

const REDIS_LIMIT =
  'A Redis value holds at most 512 MiB: a cache that keeps a body in one value cannot keep a longer one.'

/** DynamoDB Local and a memcached of 64 MB are no places for such a body. */
const STORES = { sqlite: 'SQLite', file: 'files', redis: 'Redis', mongodb: 'MongoDB' } as const

export const scenario: Scenario = {
  title: 'Large body, by backend',
  about:
    'As in "Large body": read as a stream and thrown away, the miss and the hit in processes of their own, whose peak resident sets are compared with that of a process that fetches without a cache. A server keeps the body in its own memory, which is not counted.',
  async run(context) {
    const wanted = (['sqlite', 'file', 'redis', 'mongodb'] as const).filter(
      (store) => context.stores?.includes(store) ?? true,
    )
    const missing = wanted.filter((store) => serverOf(store) === null)
    const running = wanted.filter((store) => !missing.includes(store))
    const titles = Object.fromEntries(running.map((store) => [store, STORES[store]]))
    const report = await raceLarge(context, running, titles)
    const notes = missing.map((store) => `${STORES[store]}: no server here, skipped.`)
    return { ...report, notes: context.size > 2 ** 29 ? [...notes, REDIS_LIMIT] : notes }
  },
}
