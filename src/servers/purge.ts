/**
 * Purging and looking in by HTTP (feature M4, row 246): authenticated, off unless it is asked for.
 *
 * `PURGE /path` purges the URL; `Purge-Tag: a, b` tags, `Purge-Prefix: /path` all below a path, `Purge-All: ?1` everything instead.
 * Under `purge.path`, GET lists what is stored, and DELETE purges what its query names: url, tag, key, prefix, pattern, all.
 */
import { OptionError, StateError } from '../errors.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList, RequestHead } from '../http/message.ts'
import type { CacheEntry } from '../clients/cache-view.ts'
import type { PurgeOptions } from './options.ts'
import type { PurgeQuery, ServerCache } from './server-cache.ts'

export interface PurgeAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** JSON. */
  readonly body: string
}

/** Fields of every answer here. */
const FIELDS: PurgeAnswer['headers'] = { 'content-type': 'application/json', 'cache-control': 'no-store' }

/** What a status has to say beside itself (RFC 9110 sections 15.5.2 and 15.5.6). */
const MORE: Readonly<Record<number, PurgeAnswer['headers']>> = {
  401: { 'www-authenticate': 'Bearer realm="cache"' },
  405: { allow: 'GET, DELETE, PURGE' },
}

/** Entries listed where the request does not say how many. */
const LISTED = 100

/** Never rejects: what fails is a 500, and reported. */
export async function answerPurge(cache: ServerCache, request: RequestHead): Promise<PurgeAnswer> {
  const { purge } = cache.settings
  try {
    if (purge === null || !(await mayPurge(purge, request))) return answer(401, { error: 'unauthorized' })
    if (request.method === 'PURGE') return await purged(cache, queryOfFields(request.url, request.headers))
    if (request.method === 'GET') return await listed(cache, new URL(request.url).searchParams)
    if (request.method === 'DELETE') return await purged(cache, queryOfParams(new URL(request.url)))
    return answer(405, { error: 'GET lists, DELETE purges' })
  } catch (error) {
    if (error instanceof StateError) return answer(501, { error: error.message })
    if (error instanceof OptionError) return answer(400, { error: error.message })
    cache.report(error)
    return answer(500, { error: 'the purge failed' })
  }
}

function answer(status: number, body: object): PurgeAnswer {
  return { status, headers: { ...FIELDS, ...MORE[status] }, body: JSON.stringify(body) }
}

async function mayPurge(options: PurgeOptions, { method, url, headers }: RequestHead): Promise<boolean> {
  if ('authorize' in options)
    return (await options.authorize({ method, url, headers: new Headers(headers as [string, string][]) })) === true
  const given = /^Bearer +(\S+)$/i.exec(getHeader(headers, 'authorization') ?? '')?.[1] ?? ''
  return sameSecret(given, options.token)
}

async function purged(cache: ServerCache, query: PurgeQuery): Promise<PurgeAnswer> {
  if (Object.keys(query).length === 0)
    return answer(400, { error: 'say what to purge: url, tag, key, prefix, pattern or all=1' })
  return answer(200, { purged: query, entries: await cache.purge(query) })
}

async function listed(cache: ServerCache, params: URLSearchParams): Promise<PurgeAnswer> {
  const limit = Number(params.get('limit') ?? LISTED)
  if (!Number.isInteger(limit) || limit < 1) return answer(400, { error: 'limit must be a whole number above 0' })
  const prefix = params.get('prefix') ?? ''
  const tag = params.get('tag')
  const filter = ({ url, tags }: CacheEntry): boolean => url.startsWith(prefix) && (tag === null || tags.includes(tag))
  const entries: object[] = []
  for await (const entry of cache.entries.entries({ filter, limit })) {
    const { key, method, url, status, size, createdAt, expiresAt, tags } = entry
    entries.push({ key, method, url, status, size, createdAt, expiresAt: expiresAt ?? null, tags })
  }
  return answer(200, { entries })
}

function queryOfFields(url: string, headers: HeaderList): PurgeQuery {
  const tags = getHeader(headers, 'purge-tag')
  if (tags !== null) return { tag: tags.split(/[\s,]+/).filter((tag) => tag !== '') }
  const prefix = getHeader(headers, 'purge-prefix')
  if (prefix !== null) return { prefix: absolute(prefix, url) }
  return getHeader(headers, 'purge-all') === '?1' ? { all: true } : { url }
}

/** Paths are of the host that was asked. */
function queryOfParams({ href, searchParams }: URL): PurgeQuery {
  const query: PurgeQuery = {}
  const urls = searchParams.getAll('url').map((url) => absolute(url, href))
  if (urls.length > 0) query.url = urls
  if (searchParams.has('tag')) query.tag = searchParams.getAll('tag')
  if (searchParams.has('key')) query.key = searchParams.getAll('key')
  const prefix = searchParams.get('prefix')
  if (prefix !== null) query.prefix = absolute(prefix, href)
  const pattern = searchParams.get('pattern')
  if (pattern !== null) query.pattern = pattern
  if (searchParams.get('all') === '1') query.all = true
  return query
}

/** @throws OptionError */
function absolute(url: string, base: string): string {
  const parsed = URL.parse(url, base)
  if (parsed === null) throw new OptionError('ERR_URL', 'url', `'${url}' is no URL`)
  return parsed.href
}

const encoder = new TextEncoder()

/** Compares in a time that does not depend on where they differ, on any runtime. */
function sameSecret(given: string, secret: string): boolean {
  const [left, right] = [encoder.encode(given), encoder.encode(secret)]
  let difference = left.length ^ right.length
  for (const [at, byte] of left.entries()) difference |= byte ^ (right[at % right.length] ?? 0)
  return difference === 0
}
