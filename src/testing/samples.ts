/** Entries to fill a store with: metadata that has in it everything a store could lose. */
import { NEVER, type EntryHead } from '../engine/ports.ts'
import type { ResponseMeta } from '../policy/decision.ts'

/** A response's metadata, with everything in it that a store could lose. */
export function sampleMeta(key: string, more: Partial<ResponseMeta> = {}): ResponseMeta {
  return {
    kind: 'response',
    key,
    method: 'GET',
    url: 'http://example.test/?__proto__=1',
    selecting: [
      ['accept', 'a, b'],
      ['x-absent', null],
    ],
    status: 200,
    statusText: 'OK',
    headers: [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-latin1', '\u00e9\u00ff'],
      ['__proto__', 'plain data'],
    ],
    requestTime: 1000,
    responseTime: 2000.5,
    terms: {
      lifetime: 60,
      source: 'max-age',
      initialAge: 0.25,
      noCache: false,
      mustRevalidate: false,
      immutable: true,
      staleWhileRevalidate: 0,
      staleIfError: 4e12,
    },
    tags: ['a tag', '\u2603'],
    parts: [{ first: 0, last: 9 }],
    total: 20,
    decoded: false,
    ...more,
  }
}

/**
 * The head of an entry with `sampleMeta`, for writing it to a store.
 *
 * @example
 * ```ts
 * const store = new MemoryStore()
 * store.write(sampleHead('k'), new Uint8Array([1, 2, 3]))
 * console.log(store.read('k')?.body.size) // 3
 * ```
 */
export function sampleHead(key: string, more: Partial<EntryHead> = {}): EntryHead {
  return { key, meta: sampleMeta(key), createdAt: 1000, expiresAt: 61_000, keepUntil: NEVER, ...more }
}
