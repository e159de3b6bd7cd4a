/**
 * How processes tell each other what they changed, so that none answers from its memory with what another one deleted (feature B8).
 *
 * The port only: tiered-redis.ts does it by publish and subscribe, tiered-polling.ts by a log in any store.
 */
import type { MaybePromise } from '../engine/ports.ts'

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
