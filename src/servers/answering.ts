/** The visitor's conditions and range, answered from a whole response (RFC 9110 sections 13.2.2 and 14.2). */
import { parseETagList, weakMatch } from '../http/etag.ts'
import { getHeader } from '../http/headers.ts'
import { parseCacheControl } from '../http/cache-control.ts'
import { parseDate } from '../http/date.ts'
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import { answer } from '../policy/answer.ts'
import { cacheStatus } from '../policy/cache-status.ts'
import type { PolicyOptions } from '../policy/options.ts'
import { StoredReply, ttlOf } from '../engine/reply.ts'
import type { ReplyInfo } from '../engine/exchange.ts'

/** The fields of a request that ask for something other than the whole. */
const ASKING: ReadonlySet<string> = new Set(['if-none-match', 'if-modified-since', 'if-range', 'range'])

/** The same stored reply as an answer to the visitor's own conditions and range. */
export function answered(reply: StoredReply, request: RequestHead): StoredReply {
  const asked = request.headers.filter(([name]) => ASKING.has(name))
  const headOnly = request.method === 'HEAD'
  if (asked.length === 0) return headOnly ? derived(reply, { headOnly }) : reply
  const { entry } = reply
  // What was opened to see that it can be read is opened anew where it is wanted.
  reply.body?.leave(undefined)
  const asking = { method: request.method, url: request.url, headers: asked }
  return derived(reply, { answer: answer(asking, entry.meta, entry.body.size), headOnly })
}

function derived(reply: StoredReply, facts: Partial<StoredReply['facts']>): StoredReply {
  return new StoredReply(reply.entry, { ...reply.facts, ...facts }, reply.now, null)
}

/** Whether the visitor has this very answer already: a 304 does. */
export function isUnchanged(request: HeaderList, response: ResponseHead, now: number): boolean {
  if (response.status !== 200) return false
  const wanted = getHeader(request, 'if-none-match')
  if (wanted !== null) {
    const etag = getHeader(response.headers, 'etag')
    const tags = parseETagList(wanted)
    return tags === '*' || (etag !== null && tags.some((tag) => weakMatch(tag, etag)))
  }
  const since = getHeader(request, 'if-modified-since')
  const modified = getHeader(response.headers, 'last-modified')
  const [asked, at] = [since && parseDate(since, now), modified && parseDate(modified, now)]
  return typeof asked === 'number' && typeof at === 'number' && at <= asked
}

/** The fields that go with a 304 (RFC 9110 section 15.4.5). */
export function notModifiedHeaders(headers: HeaderList): HeaderList {
  return headers.filter(([name]) => !name.startsWith('content-') || name === 'content-location')
}

/** Our member of Cache-Status for a reply; without the key, which visitors need not see. */
export function statusOf(name: string, info: ReplyInfo, reply: StoredReply | null): string {
  const { outcome, fromCache, revalidated, collapsed, stored, reason } = info
  const failure = reply?.facts.failure
  const facts = { outcome, fromCache, revalidated, collapsed, stored, reason, key: null, failure }
  return cacheStatus(name, facts, reply === null ? null : ttlOf(reply.entry, reply.now))
}

/** Whether an answer says that it is not for a shared cache. */
export function refusesByItself({ headers }: ResponseHead): boolean {
  const { noStore, private: isPrivate, mustUnderstand } = parseCacheControl(getHeader(headers, 'cache-control'))
  return (noStore && !mustUnderstand) || isPrivate
}

/**
 * Whether an answer looks as if it could be kept: cheap, and wrong only on the side of looking again.
 * @param field its Cache-Control, null where it has none
 * @param expires whether it has Expires; looked at only where it has no Cache-Control
 */
export function looksShareable(status: number, field: string | null, expires: boolean, policy: PolicyOptions): boolean {
  if (field === null) {
    if (status >= 400 && !policy.statuses?.has(status) && !policy.expireAfterByStatus.has(status)) return expires
    return policy.expireAfter !== null || policy.expireAfterByStatus.has(status) || expires
  }
  const { noStore, private: isPrivate, mustUnderstand } = parseCacheControl(field)
  return (!noStore || mustUnderstand) && !isPrivate
}

/**
 * A HEAD tells the length of what a GET would bring (RFC 9110 section 9.3.2); what a HEAD itself brought says it among its fields. A 304
 * tells none: there are those who wait for as many bytes.
 */
export function lengthForHead({ facts, entry, status }: StoredReply): number | null {
  return facts.headOnly && entry.meta.method !== 'HEAD' && status !== 304 ? entry.body.size : null
}
