/**
 * Events: one typed union from the engine to any number of listeners (feature I3). A listener that throws hurts nobody.
 */
import type { StoreError } from '../errors.ts'

interface Base {
  readonly key: string | null
  readonly url: string
  readonly method: string
}

export type CacheEvent =
  | (Base & { readonly type: 'hit'; readonly reason: string; readonly age: number })
  | (Base & { readonly type: 'stale'; readonly reason: string; readonly age: number })
  | (Base & { readonly type: 'miss'; readonly reason: string })
  | (Base & { readonly type: 'bypass'; readonly reason: string })
  | (Base & { readonly type: 'revalidated'; readonly reason: string })
  | (Base & { readonly type: 'collapsed' })
  | (Base & { readonly type: 'stored'; readonly reason: string; readonly size: number })
  | (Base & { readonly type: 'refused'; readonly reason: string })
  | (Base & { readonly type: 'invalidated'; readonly reason: string })
  | { readonly type: 'evicted'; readonly key: string; readonly size: number; readonly reason: 'entries' | 'bytes' }
  /** A background refresh failed: nobody else would hear of it. */
  | (Base & { readonly type: 'refresh-failed'; readonly error: unknown })
  /** A store failed and the request went on without it. */
  | {
      readonly type: 'error'
      readonly operation: StoreOperation
      readonly key: string | null
      readonly error: StoreError
    }

export type StoreOperation = 'read' | 'write' | 'update' | 'delete' | 'list' | 'open' | 'close' | 'filter' | 'lock'

export type CacheEventType = CacheEvent['type']

/** The event of one type. */
export type CacheEventOf<T extends CacheEventType> = Extract<CacheEvent, { readonly type: T }>

type Listener = (event: CacheEvent) => void

/** A channel of node:diagnostics_channel. */
export interface EventChannel {
  readonly hasSubscribers: boolean
  publish(message: unknown): void
}

/** A minimal emitter: listeners by type, and for all. */
export class Events {
  #byType = new Map<CacheEventType | '*', Set<Listener>>()
  #channel: EventChannel | null = null

  /** Calls `listener` for every event of this type ('*': of any); returns a function that stops it. */
  on<T extends CacheEventType>(type: T, listener: (event: CacheEventOf<T>) => void): () => void
  on(type: '*', listener: (event: CacheEvent) => void): () => void
  on(type: CacheEventType | '*', listener: (event: never) => void): () => void {
    const listeners = this.#byType.get(type) ?? new Set<Listener>()
    this.#byType.set(type, listeners)
    listeners.add(listener as Listener)
    return () => {
      listeners.delete(listener as Listener)
      if (listeners.size === 0) this.#byType.delete(type)
    }
  }

  /** Publishes every event to a diagnostics channel as well, while it has subscribers. */
  set channel(channel: EventChannel | null) {
    this.#channel = channel
  }

  /** Whether anybody would hear an event of this type: ask before making one on the hit path. */
  wants(type: CacheEventType): boolean {
    if (this.#channel?.hasSubscribers) return true
    return this.#byType.size > 0 && (this.#byType.has(type) || this.#byType.has('*'))
  }

  emit(event: CacheEvent): void {
    for (const listeners of [this.#byType.get(event.type), this.#byType.get('*')]) {
      if (listeners) for (const listener of listeners) call(listener, event)
    }
    const channel = this.#channel
    if (channel?.hasSubscribers) call((published) => channel.publish(published), event)
  }
}

/** RELIABILITY 165: what a listener throws is its own affair; it is reported as an uncaught error would be, but never here. */
function call(listener: Listener, event: CacheEvent): void {
  try {
    listener(event)
  } catch (error) {
    reportListenerError(error)
  }
}

function reportListenerError(error: unknown): void {
  const { emitWarning } =
    (globalThis as { process?: { emitWarning?: (warning: string, options: object) => void } }).process ?? {}
  emitWarning?.(`keepfresh: an event listener threw: ${String(error)}`, {
    type: 'KeepfreshWarning',
    code: 'KEEPFRESH_LISTENER',
  })
}
