/**
 * The names of our items in memcached. Nothing of a caller's key is in them but its SHA-256, in base64url (RELIABILITY 136).
 *
 *     {namespace}:e:{H}          the frame of an entry
 *     {namespace}:c:{H}:id:n     chunk n of its body, where that is long
 *     {namespace}:l:{H}          a lease
 */
import { keyHash } from './key-hash.ts'
import { Generations } from './generations.ts'

/** Printable ASCII without spaces, short enough for what follows it in 250 bytes. */
export const NAMESPACE: RegExp = /^[\x21-\x7e]{1,150}$/

export class MemcachedKeys {
  readonly #prefix: string
  /** The names of entries asked for lately: the same text again, of which a client knows the server. */
  readonly #entries = new Generations<string, string>()

  constructor(namespace: string) {
    this.#prefix = `${namespace}:`
  }

  entry(key: string): string {
    let name = this.#entries.get(key)
    if (name === undefined) this.#entries.set(key, (name = `${this.#prefix}e:${keyHash(key)}`))
    return name
  }

  chunk(key: string, id: string, n: number): string {
    return `${this.#prefix}c:${keyHash(key)}:${id}:${n}`
  }

  lock(name: string): string {
    return `${this.#prefix}l:${keyHash(name)}`
  }
}
