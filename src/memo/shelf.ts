/**
 * Values in a store: encoded with their types, under keys that no other cache in the store has.
 *
 * Rule 1: a store that fails costs the value, never the call (store-guard.ts).
 * Rule 2: a value is written while its callers go on; until it is there, this process reads what is being written.
 * Rule 3: what is done to one key is done in order, so that the last change is the one that stays.
 * Rule 4: a value that was to take the place of an older one, and is refused, takes that one with it (entry.ts, Keeper.put).
 *
 * A herd on one key is one read of the store (store-guard.ts); each caller's value is decoded for itself.
 */
import { collect, streamOf } from '../engine/bytes.ts'
import { sha256 } from '../engine/digest.ts'
import { Fences } from '../engine/fences.ts'
import { chain, isPromise, together } from '../engine/maybe.ts'
import { isValidMeta, isValueMeta } from '../engine/meta.ts'
import {
  isListable,
  type EntryHead,
  type EntryMeta,
  type ListableStore,
  type MaybePromise,
  type Store,
  type StoredEntry,
} from '../engine/ports.ts'
import type { StoreGuard, WriteOptions } from '../engine/store-guard.ts'
import { Tags } from '../engine/tags.ts'
import { StateError, StoreError } from '../errors.ts'
import type { ValueMeta } from '../policy/decision.ts'
import { textOf } from './argument-key.ts'
import type { Draft, Id, InvalidateMode, Keeper, Refusal } from './entry.ts'
import { StoredDraft } from './stored-draft.ts'
import { decodeValue } from './value-decode.ts'
import { encodeValue, NotStorable } from './value-encode.ts'

/** A value on its way to the store. */
interface Writing {
  readonly head: EntryHead
  readonly body: Uint8Array
  /** Ends once it is there, or is not. */
  readonly done: Promise<Refusal | null>
}

/** Longer keys are stored by their SHA-256: some servers take 250 bytes. So are those that are no text in UTF-8. */
const MAX_KEY = 120
const SLICE = 500

export interface ShelfOptions {
  readonly name: string
  readonly guard: StoreGuard
  readonly now: () => number
}

export class Shelf<K, V> implements Keeper<K, V> {
  readonly #store: Store
  readonly #guard: StoreGuard
  readonly #tags: Tags
  readonly #prefix: string
  readonly #now: () => number
  #markAt = 0
  /** Values asked for before this instant are gone for us, even where they could not be deleted. */
  #clearedAt = -Infinity
  readonly #deleting = new Map<string, Promise<unknown>>()
  readonly #writing = new Map<string, Writing>()

  constructor({ name, guard, now }: ShelfOptions) {
    this.#store = guard.store
    this.#guard = guard
    this.#now = now
    this.#prefix = `\nmemo ${name}\n`
    // Marks carry the instant that the cache says, so that they come after every question so far.
    this.#tags = new Tags(guard, { now: () => this.#markAt }, new Fences())
  }

  /** The key in the store. */
  keyOf(id: Id): MaybePromise<string> {
    const text = textOf(id)
    // UTF-8 has no lone surrogates, in which keys of stores could not be told apart: JSON writes them out.
    const isWellFormed = text.isWellFormed()
    if (text.length <= MAX_KEY && isWellFormed) return this.#prefix + text
    return chain(sha256(isWellFormed ? text : JSON.stringify(text)), (digest) => `${this.#prefix}~#${digest}`)
  }

  find(id: Id): MaybePromise<Draft<K, V> | undefined> {
    const key = this.keyOf(id)
    if (isPromise(key)) return key.then((ready) => this.#find(ready))
    return this.#find(key)
  }

  findMany(ids: readonly Id[]): MaybePromise<readonly (Draft<K, V> | undefined)[]> {
    return chain(together(ids.map((id) => this.keyOf(id))), (keys) => {
      const asked = keys.filter((key) => !this.#isChanging(key))
      const read = this.#guard.readMany(asked)
      const changing = new Map(keys.flatMap((key) => (this.#isChanging(key) ? [[key, this.#find(key)]] : [])))
      return chain(read, (entries) => {
        let next = 0
        return together(keys.map((key) => (changing.has(key) ? changing.get(key) : this.#open(entries[next++]))))
      })
    })
  }

  /** Something newer than what the store has is on its way there, or it is to go. */
  #isChanging(key: string): boolean {
    return this.#writing.has(key) || this.#deleting.has(key)
  }

  peek(id: Id): MaybePromise<Draft<K, V> | undefined> {
    return this.find(id)
  }

  #find(key: string): MaybePromise<Draft<K, V> | undefined> {
    const writing = this.#writing.get(key)
    if (writing !== undefined) return this.#draftOf(writing.head, writing.body)
    if (this.#deleting.has(key)) return undefined
    return chain(this.#guard.read(key), (entry) => this.#open(entry))
  }

  #open(entry: StoredEntry | undefined): MaybePromise<Draft<K, V> | undefined> {
    if (entry === undefined) return undefined
    const { bytes, size } = entry.body
    if (bytes !== null) return this.#draftOf(entry, bytes)
    return collect(entry.body.open(0, size), size).then(
      (whole) => (whole === null ? undefined : this.#draftOf(entry, whole)),
      (error: unknown) => this.#failed(entry.key, error),
    )
  }

  #hasKey(key: string, draft: Draft<K, V>): boolean {
    try {
      void draft.key
      return true
    } catch (error) {
      this.#failed(key, error)
      return false
    }
  }

  #failed(key: string, error: unknown): undefined {
    this.#guard.report('open', key, error)
    return undefined
  }

  #draftOf(head: EntryHead, bytes: Uint8Array): MaybePromise<Draft<K, V> | undefined> {
    const draft = this.#decode(head, bytes)
    if (draft === undefined || draft.tags.length === 0) return draft
    return chain(this.#tags.markFor(draft.tags, draft.askedAt), (mark) => {
      if (mark === null) return draft
      // 'revalidate': of the HTTP cache in the same store, or a mark that could not be read. Only the function could tell.
      if (mark.mode !== 'stale') return undefined
      // Whole milliseconds: the instant of an invalidation may be a fraction ahead of the clock (time.ts).
      return draft.until(Math.min(draft.freshUntil, Math.floor(mark.at)))
    })
  }

  #decode(head: EntryHead, bytes: Uint8Array): StoredDraft<K, V> | undefined {
    const { key, createdAt, expiresAt } = head
    const meta: unknown = head.meta
    try {
      if (!isValueMeta(meta) || meta.valueSize > bytes.length)
        throw new StoreError('ERR_STORE_CORRUPT', 'the entry is no cached value')
      if (meta.askedAt < this.#clearedAt) return undefined
      return new StoredDraft(createdAt, expiresAt, meta, bytes, decodeValue(bytes, meta.valueSize))
    } catch (error) {
      return this.#failed(key, error)
    }
  }

  put(id: Id, draft: Draft<K, V>, keepUntil: number, over: boolean): MaybePromise<Refusal | null> {
    const value = encodeValue(draft.failed ? draft.error : draft.value)
    const key = encodeKey(draft.key)
    const body = new Uint8Array(value.length + key.length)
    body.set(value)
    body.set(key, value.length)
    if (body.length > this.#store.limits.maxEntrySize)
      return over ? chain(this.drop([id]), (): Refusal => 'too-large') : 'too-large'
    const { failed, askedAt, createdAt, freshUntil, took, tags } = draft
    return chain(this.keyOf(id), (stored) => {
      const meta = metaOf({ kind: 'value', key: stored, valueSize: value.length, failed, askedAt, took, tags })
      return this.#write({ key: stored, meta, createdAt, expiresAt: freshUntil, keepUntil }, body, over)
    })
  }

  #write(head: EntryHead, body: Uint8Array, over: boolean): MaybePromise<Refusal | null> {
    const { key } = head
    // What was given up and came all the same may have come after something newer.
    const options: WriteOptions = { size: body.length, late: () => void this.#delete([key]) }
    const lost = (): MaybePromise<Refusal> => (over ? chain(this.#delete([key]), storeFailed) : 'store-failed')
    const written = chain(this.#lastChange(key), () => this.#guard.write(head, this.#source(body), options))
    if (!isPromise(written)) return written ? null : lost()
    const done = written.then((there) => {
      // Where something newer is on its way, that is what stays.
      const isLast = this.#writing.get(key) === writing
      if (isLast) this.#writing.delete(key)
      return there ? null : isLast ? lost() : 'store-failed'
    })
    const writing: Writing = { head, body, done }
    this.#writing.set(key, writing)
    return done
  }

  #source(body: Uint8Array): Uint8Array | ReadableStream<Uint8Array> {
    return body.length > this.#store.limits.inlineSize ? streamOf(body) : body
  }

  #lastChange(key: string): MaybePromise<unknown> {
    return this.#writing.get(key)?.done ?? this.#deleting.get(key)
  }

  drop(ids: readonly Id[]): MaybePromise<number> {
    const keys = ids.map((id) => this.keyOf(id))
    if (keys.some(isPromise)) return Promise.all(keys).then((ready) => this.#delete(ready))
    return this.#delete(keys as string[])
  }

  /** From now on the keys read as absent, however long the store takes. */
  #delete(keys: readonly string[]): MaybePromise<number> {
    const writes = keys.flatMap((key) => this.#writing.get(key)?.done ?? [])
    for (const key of keys) this.#writing.delete(key)
    const deleted =
      writes.length === 0 ? this.#guard.delete(keys) : Promise.all(writes).then(() => this.#guard.delete(keys))
    if (!isPromise(deleted)) return deleted
    for (const key of keys) this.#deleting.set(key, deleted)
    return deleted.then((count) => {
      for (const key of keys) if (this.#deleting.get(key) === deleted) this.#deleting.delete(key)
      return count
    })
  }

  async invalidateTags(tags: readonly string[], mode: InvalidateMode, at: number): Promise<void> {
    this.#markAt = at
    await this.#tags.invalidate(tags, mode)
  }

  /** @throws StateError ERR_NOT_LISTABLE where the store cannot list */
  async *entries(): AsyncGenerator<Draft<K, V>> {
    const store = this.#listable('entries')
    for await (const key of store.keys()) {
      if (!key.startsWith(this.#prefix)) continue
      const draft = await this.#find(key)
      if (draft !== undefined && this.#hasKey(key, draft)) yield draft
    }
  }

  /** @throws StateError ERR_NOT_LISTABLE where the store cannot list */
  async clear(at: number): Promise<void> {
    const store = this.#listable('clear')
    this.#clearedAt = at
    await Promise.all(Array.from(this.#writing.values(), ({ done }) => done))
    let slice: string[] = []
    try {
      for await (const key of store.keys()) {
        if (!key.startsWith(this.#prefix)) continue
        slice.push(key)
        if (slice.length < SLICE) continue
        await this.#delete(slice)
        slice = []
      }
    } catch (error) {
      this.#guard.report('list', null, error)
    }
    await this.#delete(slice)
  }

  /** Deletes this cache's values that are of no use any more; how many. @throws StateError ERR_NOT_LISTABLE */
  async deleteExpired(): Promise<number> {
    const store = this.#listable('deleteExpired')
    const now = this.#now()
    const keys: string[] = []
    for await (const { key, keepUntil } of store.entries({ expiredAt: now })) {
      if (keepUntil <= now && key.startsWith(this.#prefix)) keys.push(key)
    }
    return this.#delete(keys)
  }

  #listable(what: string): ListableStore {
    if (isListable(this.#store)) return this.#store
    throw new StateError(
      'ERR_NOT_LISTABLE',
      `The ${this.#store.name} store cannot list what it holds, which ${what}() needs. Invalidate by key or by tag, or use another store.`,
    )
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#writing.values(), ({ done }) => done))
  }
}

const storeFailed = (): Refusal => 'store-failed'

/** Checked, so that it is trusted when it comes back by reference. */
function metaOf(value: ValueMeta): EntryMeta {
  const meta: unknown = value
  if (!isValidMeta(meta)) throw new TypeError('the metadata of a value is wrong: tags must be strings')
  return meta
}

/** Keys that cannot be stored (they were made by the option key) are listed as undefined. */
function encodeKey(key: unknown): Uint8Array {
  try {
    return encodeValue(key)
  } catch (error) {
    if (error instanceof NotStorable) return encodeValue(undefined)
    throw error
  }
}
