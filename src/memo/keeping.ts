/** Keeping what came: decides whether and for how long, and tells why not. Nothing here fails a call. */
import { chain } from '../engine/maybe.ts'
import { NEVER, type MaybePromise } from '../engine/ports.ts'
import { textOf } from './argument-key.ts'
import type { Cloning } from './clone.ts'
import { keepUntil, type Draft, type Id, type Keeper, type Refusal } from './entry.ts'
import type { Settings } from './options.ts'
import type { Teller } from './teller.ts'
import { NotStorable } from './value-encode.ts'

export type StoredReason = 'value' | 'error' | 'set'

export class Keeping<K, V> {
  readonly #settings: Settings<K, V>
  readonly #keeper: Keeper<K, V>
  readonly #cloning: Cloning<V>
  readonly #teller: Teller
  closed = false

  constructor(settings: Settings<K, V>, keeper: Keeper<K, V>, cloning: Cloning<V>, teller: Teller) {
    this.#settings = settings
    this.#keeper = keeper
    this.#cloning = cloning
    this.#teller = teller
  }

  /**
   * Keeps what `make` makes; false where there is nothing to keep, or it was refused. Never throws: the value came, and that is what counts.
   * @param over there may be an older value: where this one is refused for what it is, the older one is not the value any more
   */
  keep(
    id: Id,
    reason: StoredReason,
    make: () => Draft<K, V> | Refusal | null,
    over: boolean = false,
  ): MaybePromise<boolean> {
    try {
      const draft = this.closed ? 'closed' : make()
      if (draft === null) return false
      if (typeof draft === 'string') return this.refuse(id, draft, '', over)
      return this.put(id, draft, reason, over)
    } catch (error) {
      if (error instanceof NotStorable) return this.refuse(id, 'not-storable', error.message, over)
      this.#teller.error('option', textOf(id), error)
      return this.refuse(id, 'option-failed', String(error), over)
    }
  }

  /** @throws NotStorable, and what the option sizeOf throws */
  put(id: Id, made: Draft<K, V>, reason: StoredReason, over: boolean): MaybePromise<boolean> {
    const { put } = this.#cloning
    const draft = put === null || made.failed ? made : { ...made, value: put(made.value as V) }
    return chain(this.#keeper.put(id, draft, keepUntil(draft, this.#settings.windows), over), (refusal) => {
      if (refusal !== null) return this.refuse(id, refusal)
      const ttl = draft.freshUntil >= NEVER ? Infinity : (draft.freshUntil - draft.createdAt) / 1000
      this.#teller.stored(id, reason, ttl, draft.took)
      return true
    })
  }

  /** Tells why a value is not kept; `over`: and what it was to take the place of goes, unless the reason is not in the value. */
  refuse(id: Id, reason: Refusal, detail: string = '', over: boolean = false): MaybePromise<false> {
    this.#teller.refused(id, reason, detail)
    if (!over || reason === 'closed' || reason === 'invalidated' || reason === 'write-off') return false
    return chain(this.#keeper.drop([id]), () => false)
  }
}
