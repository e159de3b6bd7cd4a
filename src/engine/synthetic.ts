/** The one response a cache makes itself: 504 Gateway Timeout (RFC 9111 sections 5.2.1.7 and 5.2.2.2). */
import { inlineBody } from './bytes.ts'
import type { Exchange, Reply, ReplyInfo } from './exchange.ts'
import { stamped } from './passing.ts'
import { StoredReplyBody } from './reply.ts'

const TEXT = new TextEncoder().encode('Not Cached\n')

export function gatewayTimeout(x: Exchange, reason: string, now: number): Reply {
  const headers = [
    ['content-type', 'text/plain'],
    ['content-length', String(TEXT.length)],
    ['cache-control', 'no-store'],
  ] as const
  const info: ReplyInfo = {
    outcome: 'unsatisfiable',
    reason,
    key: x.key,
    fromCache: false,
    revalidated: false,
    collapsed: false,
    stored: false,
    refused: null,
    meta: null,
    now,
  }
  return {
    head: { status: 504, statusText: 'Gateway Timeout', headers: stamped(x, { headers }, info) },
    body: x.request.method === 'HEAD' ? null : new StoredReplyBody(inlineBody(TEXT), 0, TEXT.length, null),
    info,
  }
}
