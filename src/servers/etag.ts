/** The ETag of a body that has none: the same wherever and whenever it is made. */
import type { HeaderLine, RequestHead } from '../http/message.ts'
import { chain } from '../engine/maybe.ts'
import type { MaybePromise } from '../engine/ports.ts'
import { sha256 } from '../engine/digest.ts'

/** 27 characters of base64url in quotes: 162 bits of SHA-256. At once where the runtime can. */
export function etagOf(body: Uint8Array): MaybePromise<string> {
  return chain(sha256(body), (hex) => {
    const bytes = hex.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? []
    const base64 = btoa(String.fromCharCode(...bytes))
    return `"${base64.replaceAll('+', '-').replaceAll('/', '_').slice(0, 27)}"`
  })
}

/** Of that form: a handler knows nothing of it. One of its own that looks so is not asked about, and costs no more than that. */
const LIKE_OURS = /^"[\w-]{27}"$/

/**
 * What the engine asks about what is stored, in terms that its handler may know.
 * @param sent the request as the engine forwards it
 */
export function conditionsOf({ headers }: RequestHead): readonly HeaderLine[] {
  return headers.filter(
    ([name, value]) => name === 'if-modified-since' || (name === 'if-none-match' && !LIKE_OURS.test(value)),
  )
}
