/** One of the processes whose callers want the same new key at the same time: `fork`ed with the contender's label, a place and a number. */
import { messageOf } from '../lib/attempt.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Where } from './contenders.ts'
import { memoryOverRedis, redisAlone } from './redis-contenders.ts'

export interface HerdOrder {
  readonly label: string
  readonly where: Where
  readonly callers: number
  /** ms that the function takes. */
  readonly delay: number
}

/** A key to ask for; 'end': no more. */
export type HerdCall = { readonly key: string } | 'end'

export interface HerdAnswer {
  /** Until its last caller has the value. */
  readonly ms: number
  /** Calls of the function in this process. */
  readonly calls: number
}

const { label, where, callers, delay } = JSON.parse(process.argv[2] ?? '') as HerdOrder
const say = (answer: HerdAnswer | 'ready' | { failure: string }): void => void process.send?.(answer)
const failed = (error: unknown): void => say({ failure: messageOf(error) })
process.on('uncaughtException', failed)

let calls = 0
const load = async (key: string): Promise<unknown> => {
  calls += 1
  await sleep(delay)
  return { key, name: 'some user', roles: ['reader'] }
}

try {
  const contender = [...redisAlone, ...memoryOverRedis].find((each) => each.label === label)
  if (contender === undefined) throw new Error(`no contender ${label}`)
  const cache = await contender.setup(load, where)
  const herd = async (key: string): Promise<HerdAnswer> => {
    calls = 0
    const started = performance.now()
    const values = await Promise.all(Array.from({ length: callers }, () => cache.get(key)))
    const ms = performance.now() - started
    if (values.some((value) => (value as { key?: unknown } | null)?.key !== key))
      throw new Error('a caller got another value')
    return { ms, calls }
  }
  process.on('message', (call: HerdCall) => {
    if (call === 'end') void Promise.resolve(cache.close?.()).finally(() => process.exit(0))
    else herd(call.key).then(say, failed)
  })
  say('ready')
} catch (error) {
  failed(error)
}
