/** The PURGE endpoint (feature M4): authenticated, off unless it is asked for. */
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import type { PurgeQuery, ServerCache } from './server-cache.ts'

export interface PurgeAnswer {
  readonly status: number
  /** JSON. */
  readonly body: string
}

/**
 * `PURGE /path` purges the URL; `Purge-Tag: a, b` tags, `Purge-Prefix: /path` all below a path, `Purge-All: ?1` everything instead.
 */
export async function answerPurge(cache: ServerCache, url: string, headers: HeaderList): Promise<PurgeAnswer> {
  if (!(await cache.mayPurge(url, new Headers(headers as [string, string][])))) {
    return { status: 401, body: JSON.stringify({ error: 'unauthorized' }) }
  }
  const query = queryOf(url, headers)
  const count = await cache.purge(query)
  return { status: 200, body: JSON.stringify({ purged: query, entries: count }) }
}

function queryOf(url: string, headers: HeaderList): PurgeQuery {
  const tags = getHeader(headers, 'purge-tag')
  if (tags !== null) return { tag: tags.split(/[\s,]+/).filter((tag) => tag !== '') }
  const prefix = getHeader(headers, 'purge-prefix')
  if (prefix !== null) return { prefix: new URL(prefix, url).href }
  return getHeader(headers, 'purge-all') === '?1' ? { all: true } : { url }
}
