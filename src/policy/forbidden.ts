/**
 * What an update may not do (RFC 9111 sections 3, 3.5, 4.1): a 304 or a HEAD makes nothing reusable that could not have been stored so.
 */
import { getHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { parseVary } from '../http/vary.ts'
import type { Outcome, RefuseReason, ResponseMeta } from './decision.ts'
import { explicitLifetime, type LifetimeInput } from './freshness.ts'
import { refusal } from './storable.ts'

/** The other reasons are about what a status or a cookie leaves unsaid: there the stored response speaks. For no-store see settle.ts. */
const FORBIDDING: ReadonlySet<RefuseReason> = new Set([
  'private',
  'authorization',
  'set-cookie',
  'vary-star',
  'vary-credentials',
  'status-not-understood',
])

/** `facts` are those of the stored response as it would be after the update. Null: it may be renewed. */
export function forbidden(request: RequestHead, stored: ResponseMeta, facts: LifetimeInput): Outcome | null {
  const { response, directives, options } = facts
  const explicit = explicitLifetime(facts) !== null
  const reason = refusal({ request, response, directives: { ...directives, noStore: false }, options, explicit })
  if (reason !== null && FORBIDDING.has(reason)) return { kind: 'refuse', reason, drop: true }
  // It would vary on what it was not stored for: it can no longer be told which requests it answers.
  const known = new Set(stored.selecting.map(([name]) => name))
  const names = parseVary(getHeader(response.headers, 'vary')) ?? []
  return names.every((name) => known.has(name)) ? null : { kind: 'refuse', reason: 'not-modified', drop: true }
}
