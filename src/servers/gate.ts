/** What both gates do alike, whatever their messages are made of. */
import type { ReplyInfo } from '../engine/exchange.ts'
import type { Clock, Origin } from '../engine/ports.ts'
import type { ResponseEntry } from '../engine/reply.ts'
import { inTime, quietlyAfter } from '../engine/timer.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderLine, ResponseHead } from '../http/message.ts'
import type { Address } from './addresses.ts'
import type { RouteSettings } from './settings.ts'

/** What a cache further in may change of a visit: the route that is in force. */
export interface Inside {
  settings: RouteSettings
}

/** Methods whose success changes what is stored. */
export const UNSAFE: RegExp = /^(?!GET$|HEAD$|OPTIONS$|TRACE$)/

/** For an exchange that only looks. */
export const neverAsk: Origin = () => Promise.reject(new Error('nothing is asked'))

/** Milliseconds a handler may take to refresh a stale answer: nobody waits for it, and nobody would end it by leaving. */
const REFRESH_LIMIT = 60_000

/** What a refresh brings, if it brings it in time. @param late told when it does not */
export function refreshed<T>(made: Promise<T>, late: () => void): Promise<T> {
  return inTime(made, REFRESH_LIMIT, quietlyAfter, () => {
    late()
    return new Error('the handler takes too long to refresh a stale answer')
  })
}

/**
 * Whether an answer is for who asked: then nothing of it changes what all are given (RELIABILITY E73, E84).
 * @param known a user, a session or a cookie came with the request
 */
export function isPersonal(authorized: boolean, known: boolean, { allowUsers }: RouteSettings): boolean {
  return authorized || (known && !allowUsers)
}

/** RELIABILITY 86: a refusal is looked at again for who may be known by a cookie; the lane of plain hits does not ask who it answers. */
export function isRefusal({ meta: { status } }: ResponseEntry): boolean {
  return status === 401 || status === 403
}

/** So many answers that could not be shared make it likely that the next one cannot, either: a failure or a visitor of its own does not. */
const PATIENCE = 8

/** Whether a key that brought nothing to share will hardly bring anything now. To be asked once a visit. */
export function isHopeless(address: Address): boolean {
  if (address.refusals >= PATIENCE) return true
  address.refusals += 1
  return false
}

/** So many refusals are looked at one by one; of more, one in a while is: to look at a Response makes it slower to send. */
const LOOKS = 64

/** Milliseconds until the next look. */
const WHILE = 1000

/** Whether an answer under a hopeless key is looked at for whether it can be shared: then the next one is asked for as any other is. */
export function isLookedAt(address: Address, clock: Clock): boolean {
  if (address.refusals < LOOKS) return true
  const now = clock.now()
  // A clock that was set back is no reason to wait for it.
  if (now >= address.lookedAt && now - address.lookedAt < WHILE) return false
  address.lookedAt = now
  return true
}

/** Fields that are made where the handler makes none. */
const OURS = ['etag', 'date']

/** What will be said on a hit is said on what was just stored: both are answers with one validator and one date. */
export function ownFields({ stored }: ReplyInfo, head: ResponseHead, isSet: (name: string) => boolean): HeaderLine[] {
  const fields: HeaderLine[] = []
  for (const name of stored ? OURS : []) {
    const value = getHeader(head.headers, name)
    if (value !== null && !isSet(name)) fields.push([name, value])
  }
  return fields
}
