/**
 * The names of our values in Redis. Nothing of a caller's key is in them but its SHA-256, in base64url.
 *
 *     {namespace}:e:{H}          the frame of an entry
 *     {namespace}:c:{H}:id:n     chunk n of its body, where that is long
 *     {namespace}:l:{H}          a lease
 *
 * 1. H is in braces, a Redis Cluster's hash tag: an entry and its chunks are in one slot, so that one script may touch both.
 * 2. Whose a key is, is decided by its whole shape, never by a pattern alone (row 200, 146): one namespace may be the beginning of
 *    another, and may hold what SCAN takes for wildcards.
 */
import { keyHash } from './key-hash.ts'

const ENTRY = /^[\w-]{43}\}$/
const CHUNK = /^[\w-]{43}\}:[0-9a-f]{16}:\d+$/

export class RedisKeys {
  /** What the names of entries, and of nothing else, begin with. */
  readonly entryPrefix: string
  readonly #chunks: string
  readonly #locks: string
  /** What SCAN is to match for entries. */
  readonly entryPattern: string
  /** What SCAN is to match for chunks. */
  readonly chunkPattern: string

  /** @param prefix what the client itself puts before every key, and SCAN does not know of */
  constructor(namespace: string, prefix: string = '') {
    this.entryPrefix = `${namespace}:e:{`
    this.#chunks = `${namespace}:c:{`
    this.#locks = `${namespace}:l:{`
    this.entryPattern = `${literal(prefix + this.entryPrefix)}*`
    this.chunkPattern = `${literal(prefix + this.#chunks)}*`
  }

  entry(key: string): string {
    return `${this.entryPrefix}${keyHash(key)}}`
  }

  chunk(key: string, id: string, n: number): string {
    return `${this.#chunks}${keyHash(key)}}:${id}:${n}`
  }

  lock(name: string): string {
    return `${this.#locks}${keyHash(name)}}`
  }

  isEntry(name: string): boolean {
    return name.startsWith(this.entryPrefix) && ENTRY.test(name.slice(this.entryPrefix.length))
  }

  isChunk(name: string): boolean {
    return name.startsWith(this.#chunks) && CHUNK.test(name.slice(this.#chunks.length))
  }
}

/** A glob that matches this text only. */
function literal(text: string): string {
  return text.replace(/[*?[\]\\^-]/g, '\\$&')
}
