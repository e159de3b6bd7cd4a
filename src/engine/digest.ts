/**
 * SHA-256 as lower-case hex. Synchronous where the runtime has a synchronous hash (Node, Bun, Deno), else WebCrypto's promise:
 * keys of plain requests need no digest, so that the hit path never waits for one.
 */
import type { MaybePromise } from './ports.ts'

type Hash = (algorithm: string, data: string | Uint8Array, encoding: 'hex') => string

interface RuntimeProcess {
  getBuiltinModule?: (id: string) => { hash?: Hash } | undefined
}

const syncHash: Hash | undefined = (globalThis as { process?: RuntimeProcess }).process?.getBuiltinModule?.(
  'node:crypto',
)?.hash

export function sha256(data: string | Uint8Array): MaybePromise<string> {
  return syncHash ? syncHash('sha256', data, 'hex') : subtleSha256(data)
}

async function subtleSha256(data: string | Uint8Array): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
