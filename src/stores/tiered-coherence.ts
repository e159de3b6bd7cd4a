/**
 * How processes tell each other what they changed, so that none answers from its memory with what another one deleted (feature B8).
 *
 * The ports only: tiered-redis.ts does it by publish and subscribe, tiered-polling.ts by a log in any store, and a server that
 * tells of changes by itself through the store that is on it (redis-tracking.ts).
 */
import type { MaybePromise, Store, Version } from '../engine/ports.ts'

/** What a tiered store is told. */
export interface CoherenceListener {
  /** Another process changed or deleted these keys; null: any of them. Never what this process published. */
  changed(keys: readonly string[] | null): void
  /** Whether changes arrive from now on. Whatever the state was, changes may have been missed until now. */
  connected(isConnected: boolean): void
}

/** A channel between the processes that share a store. */
export interface Coherence {
  /** Tells the others. Rejects where they could not be told. */
  publish(keys: readonly string[] | null): MaybePromise<void>
  /** Begins to listen: once, before anything is published. Until `connected(true)` nothing arrives. */
  subscribe(listener: CoherenceListener): void
  /** Ends it; idempotent. What was given (a client, a store) is left open. */
  close(): MaybePromise<void>
}

/**
 * A channel by which the server itself tells what anyone changed: by the names that the store has for its keys, those that this process
 * changed among them. Nothing has to be published: `publish` rejects where the server refuses to tell.
 */
export interface Tracking extends Coherence {
  /** What `changed` calls a key. */
  nameOf(key: string): string
  /** Whether there is this version of the entry, without reading it. */
  has(key: string, version: Version): Promise<boolean>
}

/** A store on a server that tells of changes. */
export interface TrackingStore extends Store {
  /** Another channel each time; it ends before the store does. */
  tracking(): Tracking
}

/** Whether the server behind a store tells of changes. */
export function isTracking(store: Store): store is TrackingStore {
  return 'tracking' in store
}
