/**
 * Hit ratios where entries expire: what is found too old is a miss. Time is the number of the request, so that the policies which go by time
 * have something to go by.
 */
import { SoonestFirst, TimeAwareLru, type TimedPolicy } from '../../src/memo/expiry-order.ts'
import { makePolicy } from '../../src/stores/eviction/by-name.ts'
import type { EvictionName, EvictionNode } from '../../src/stores/eviction/policy.ts'
import { generator } from '../traces/random.ts'
import type { Requests } from '../traces/trace.ts'
import { keyOf } from './replay.ts'

export type TimedName = EvictionName | 'ttl' | 'tlru'

interface Held {
  node: EvictionNode
  until: number
}

export function replayExpiring(name: TimedName, { ids, footprint }: Requests, size: number): number {
  const policy = policyFor(name)
  const timed = name === 'ttl' || name === 'tlru'
  const lifetimes = lifetimesOf(footprint)
  const held = new Map<string, Held>()
  let hits = 0
  ids.forEach((id, now) => {
    const key = keyOf(id)
    const until = now + (lifetimes[id] ?? 0)
    const entry = held.get(key)
    if (entry !== undefined && entry.until > now) hits += 1
    if (entry !== undefined && (entry.until > now || !timed)) {
      // A new value under an old key is a use of it, as in the cache of functions.
      if (entry.until <= now) entry.until = until
      policy.hit(entry.node)
      return
    }
    if (entry !== undefined) policy.remove(entry.node)
    else if (held.size >= size) {
      const victim = policy.victim(now)
      if (victim !== undefined) {
        policy.remove(victim)
        held.delete(victim.key)
      }
    }
    held.set(key, { node: policy.insert(key, until), until })
  })
  return hits / ids.length
}

function policyFor(name: TimedName): TimedPolicy {
  if (name === 'ttl') return new SoonestFirst()
  if (name === 'tlru') return new TimeAwareLru()
  return makePolicy(name, generator(3))
}

/** From 200 to 200,000 requests, each power of ten as likely. */
function lifetimesOf(keys: number): Float64Array {
  const random = generator(11)
  return Float64Array.from({ length: keys }, () => 200 * 1000 ** random())
}
