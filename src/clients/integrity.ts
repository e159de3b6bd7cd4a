/**
 * Subresource Integrity (the `integrity` of fetch). It is about the body the caller gets, and so is checked here: what the wrapped fetch sees may
 * be a redirect on the way or a 304, and of what is stored it sees nothing.
 */
import type { CachedRequestInit, FetchInput } from './incoming.ts'

const ALGORITHMS = ['sha256', 'sha384', 'sha512'] as const

const METADATA = /^(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})(?:\?[!-~]*)?$/

/** What a call asks of the body; '': nothing. */
export function integrityOf(input: FetchInput, init: CachedRequestInit | undefined): string {
  const own = typeof input === 'object' && 'headers' in input ? input.integrity : undefined
  return init?.integrity ?? own ?? ''
}

/** Whether the bytes have one of the digests, of those of the strongest algorithm; of what names none that is known, anything has. */
export async function hasIntegrity(bytes: Uint8Array<ArrayBuffer>, metadata: string): Promise<boolean> {
  const known = metadata.split(/[\t\n\f\r ]+/).flatMap((text) => {
    const [, algorithm = '', digest = ''] = METADATA.exec(text) ?? []
    return digest === '' ? [] : [{ algorithm, digest: canonical(digest) }]
  })
  const strongest = ALGORITHMS.findLast((name) => known.some(({ algorithm }) => algorithm === name))
  if (strongest === undefined) return true
  const hash = await crypto.subtle.digest(strongest.replace('sha', 'SHA-'), bytes)
  const actual = canonical(btoa(String.fromCharCode(...new Uint8Array(hash))))
  return known.some(({ algorithm, digest }) => algorithm === strongest && digest === actual)
}

/** Base64 may be written with either alphabet, and without its end. */
function canonical(digest: string): string {
  return digest.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
}
