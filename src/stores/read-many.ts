/**
 * Batched reads of stores made of others, or without one of their own: each key has its own outcome (engine/ports.ts, BatchReadingStore).
 */
import { isPromise, together } from '../engine/maybe.ts'
import { isBatchReading, type MaybePromise, type ReadOutcome, type Store } from '../engine/ports.ts'
import { asStoreError, type StoreError } from '../errors.ts'

/** What is made of an entry at hand, or why it cannot be. */
export function outcomeNow<T>(make: () => T): T | StoreError {
  try {
    return make()
  } catch (error) {
    return asStoreError(error, 'read')
  }
}

/** What `read` brings, or why it failed. */
export function outcomeOf<T>(read: () => MaybePromise<T>): MaybePromise<T | StoreError> {
  const result = outcomeNow(read)
  return isPromise<T | StoreError>(result) ? result.catch((error: unknown) => asStoreError(error, 'read')) : result
}

/** Many keys of any store: at once where it can do that, else side by side. */
export function readManyOf(store: Store, keys: readonly string[]): MaybePromise<readonly ReadOutcome[]> {
  if (isBatchReading(store)) return store.readMany(keys)
  return together(keys.map((key) => outcomeOf(() => store.read(key))))
}
