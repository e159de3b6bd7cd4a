/** What a store gives back of a value and its terms. The key is decoded when it is asked for: hits have no use for it. */
import type { ValueMeta } from '../policy/decision.ts'
import type { Draft } from './entry.ts'
import { decodeValue } from './value-decode.ts'

/** A class, and its key is of the prototype: an object with a getter of its own takes a fifth of a hit to make. */
export class StoredDraft<K, V> implements Draft<K, V> {
  readonly failed: boolean
  readonly value: V | undefined
  readonly error: unknown
  readonly askedAt: number
  readonly createdAt: number
  readonly freshUntil: number
  readonly took: number
  readonly tags: readonly string[]
  readonly #meta: ValueMeta
  readonly #bytes: Uint8Array

  constructor(createdAt: number, freshUntil: number, meta: ValueMeta, bytes: Uint8Array, decoded: unknown) {
    this.failed = meta.failed
    this.value = meta.failed ? undefined : (decoded as V)
    this.error = meta.failed ? decoded : undefined
    this.askedAt = meta.askedAt
    this.createdAt = createdAt
    this.freshUntil = freshUntil
    this.took = meta.took
    this.tags = meta.tags
    this.#meta = meta
    this.#bytes = bytes
  }

  /** @throws StoreError ERR_STORE_CORRUPT */
  get key(): K {
    return decodeValue(this.#bytes.subarray(this.#meta.valueSize)) as K
  }

  /** The same with an end to its freshness. */
  until(freshUntil: number): StoredDraft<K, V> {
    const { createdAt, failed, error, value } = this
    return new StoredDraft(createdAt, freshUntil, this.#meta, this.#bytes, failed ? error : value)
  }
}
