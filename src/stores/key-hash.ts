/** What servers know a key, or a lock's name, by: nothing of a caller's is in it, and it is always 43 letters, digits, - and _. */
import { hash } from 'node:crypto'

/**
 * The SHA-256 in base64url. Lone surrogates, which UTF-8 has no bytes for, are told apart by another hash, of their escapes
 * (RELIABILITY 136, 138).
 */
export function keyHash(key: string): string {
  if (key.isWellFormed()) return hash('sha256', key, 'base64url')
  return hash('sha512', JSON.stringify(key), 'base64url').slice(0, 43)
}
