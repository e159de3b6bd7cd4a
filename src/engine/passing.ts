/** Replies that pass through unstored, and the small facts about responses that replies are made of. */
import { getHeader, hasHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { cacheStatus } from '../policy/cache-status.ts'
import type { Plan, ResponseMeta } from '../policy/decision.ts'
import type { CacheOutcome, Exchange, Reply, ReplyInfo } from './exchange.ts'
import type { Draft, Received } from './keeper.ts'
import type { OriginResponse } from './ports.ts'
import { PassingBody } from './passing-body.ts'
import { appended, hasNoBody } from './reply.ts'

/** A plan that asks the origin. */
export type AskingPlan = Extract<Plan, { kind: 'miss' | 'revalidate' }>

/** A reply that is not stored: its body passes through. */
export function passedReply(
  x: Exchange,
  response: OriginResponse,
  now: number,
  facts: Pick<ReplyInfo, 'outcome' | 'reason' | 'refused'>,
): Reply {
  const info: ReplyInfo = {
    key: x.key,
    fromCache: false,
    revalidated: false,
    collapsed: false,
    stored: false,
    meta: null,
    now,
    ...facts,
  }
  const { status, statusText, body } = response
  const head = { status, statusText, headers: stamped(x, response, info) }
  if (body === null || hasNoBody(x.request.method, status)) return { head, body: null, info }
  return { head, body: new PassingBody(response, body, contentLength(response), x.signal), info }
}

/** The headers with Cache-Status, where it is asked for. */
export function stamped(
  x: Exchange,
  { headers, originStatus }: Pick<OriginResponse, 'headers' | 'originStatus'>,
  info: ReplyInfo,
): OriginResponse['headers'] {
  const name = x.effective.cacheStatus
  return name === null ? headers : appended(headers, 'cache-status', cacheStatus(name, info, null, originStatus))
}

/** The request with the plan's conditions in place of the caller's own. */
export function conditional(request: RequestHead, plan: AskingPlan): RequestHead {
  const own = request.headers.filter(([name]) => name !== 'if-none-match' && name !== 'if-modified-since')
  return { ...request, headers: [...own, ...plan.conditions] }
}

export function askedConditionally(request: RequestHead): boolean {
  return hasHeader(request.headers, 'if-none-match') || hasHeader(request.headers, 'if-modified-since')
}

export function withoutRange(request: RequestHead): RequestHead {
  return { ...request, headers: request.headers.filter(([name]) => name !== 'range' && name !== 'if-range') }
}

export function outcomeOf(plan: AskingPlan): CacheOutcome {
  if (plan.kind === 'revalidate')
    return plan.reason === 'stale' || plan.reason === 'invalidated' ? 'expired' : 'request'
  return plan.reason === 'vary-miss' || plan.reason === 'partial-miss' || plan.reason === 'uri-miss'
    ? plan.reason
    : 'request'
}

/** The length the body must have, where the header counts these bytes (RELIABILITY 1-3). */
export function contentLength(response: OriginResponse): number | null {
  const value = getHeader(response.headers, 'content-length')
  return value !== null && !response.decoded && /^\d+$/.test(value) ? Number(value) : null
}

/** Frees the connection of a response nobody will read. */
export function discard(response: OriginResponse): void {
  // The connection may break while it is freed: nobody is left to tell.
  response.body?.cancel().catch(() => undefined)
}

/** The facts of a miss that is being stored: whether it is, is known only as the body comes in. */
export function missInfo(
  plan: AskingPlan,
  received: Received,
  draft: Draft,
  fill: { readonly refused: string | null },
): ReplyInfo {
  return new MissInfo(plan, received, draft, fill)
}

class MissInfo implements ReplyInfo {
  readonly outcome: CacheOutcome
  readonly reason: string
  readonly key: string
  readonly fromCache: false = false
  readonly revalidated: false = false
  readonly collapsed: false = false
  readonly meta: ResponseMeta
  readonly now: number
  readonly #fill: { readonly refused: string | null }

  constructor(plan: AskingPlan, received: Received, draft: Draft, fill: { readonly refused: string | null }) {
    this.outcome = outcomeOf(plan)
    this.reason = plan.reason
    this.key = draft.head.key
    this.meta = draft.head.meta
    this.now = received.responseTime
    this.#fill = fill
  }

  get stored(): boolean {
    return this.#fill.refused === null
  }

  get refused(): string | null {
    return this.#fill.refused
  }
}

/** Feature K3: a redirect to a URL with a value in it that is not to be stored could not be replayed without it. */
export function hasSecret(x: Exchange, response: OriginResponse): boolean {
  for (const [name, value] of response.headers) {
    if ((name === 'location' || name === 'content-location') && x.redactUrl(value) !== value) return true
  }
  return false
}
