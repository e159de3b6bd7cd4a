/**
 * Events: one typed union from the engine to any number of listeners (feature I3). A listener that throws hurts nobody.
 */
import { warn } from './warning.ts'
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
  /** A successful request with an unsafe method invalidated its URL, and what it named. */
  | (Base & { readonly type: 'invalidated'; readonly reason: 'method' })
  /** By hand, or at the word of another cache: these keys were deleted, these tags were marked, or everything was deleted. */
  | {
      readonly type: 'invalidated'
      readonly reason: 'delete' | 'tags' | 'clear'
      readonly key: null
      readonly keys: readonly string[]
      readonly tags: readonly string[]
      readonly mode: 'stale' | 'revalidate' | 'delete'
    }
  | { readonly type: 'evicted'; readonly key: string; readonly size: number; readonly reason: 'entries' | 'bytes' }
  /** A background refresh failed: nobody else would hear of it. */
  | (Base & { readonly type: 'refresh-failed'; readonly error: unknown })
  /** Background cleanup deleted so many entries (option `cleanup`). */
  | { readonly type: 'cleaned'; readonly key: null; readonly deleted: number }
  /** A store failed and the request went on without it. */
  | {
      readonly type: 'error'
      readonly operation: StoreOperation
      readonly key: string | null
      readonly error: StoreError
    }

export type StoreOperation =
  | 'read'
  | 'write'
  | 'update'
  | 'delete'
  | 'list'
  | 'open'
  | 'close'
  | 'filter'
  | 'lock'
  | 'broadcast'

export type CacheEventType = CacheEvent['type']

/** Every type there is. */
export const EVENT_TYPES: Readonly<Record<CacheEventType, true>> = {
  hit: true,
  stale: true,
  miss: true,
  bypass: true,
  revalidated: true,
  collapsed: true,
  stored: true,
  refused: true,
  invalidated: true,
  evicted: true,
  'refresh-failed': true,
  cleaned: true,
  error: true,
}

/** The event of one type. */
export type CacheEventOf<T extends CacheEventType> = Extract<CacheEvent, { readonly type: T }>

/** A channel of node:diagnostics_channel. */
export interface EventChannel {
  readonly hasSubscribers: boolean
  publish(message: unknown): void
}

interface DiagnosticsChannel {
  channel(name: string): EventChannel
}

interface Runtime {
  getBuiltinModule?: (id: string) => unknown
}

const runtime = (globalThis as { process?: Runtime }).process

/** The channel `keepfresh` of node:diagnostics_channel, where the runtime has it: events of every cache are published there. */
export function diagnosticsChannel(): EventChannel | null {
  const module = runtime?.getBuiltinModule?.('node:diagnostics_channel') as DiagnosticsChannel | undefined
  return module?.channel('keepfresh') ?? null
}

/** A minimal emitter: listeners by type, and for all. */
export class Events<E extends { readonly type: string } = CacheEvent> {
  #byType = new Map<string, Set<(event: E) => void>>()
  #channel: EventChannel | null = null

  /** Calls `listener` for every event of this type ('*': of any); returns a function that stops it. */
  on<T extends E['type']>(type: T | '*', listener: (event: Extract<E, { readonly type: T }>) => void): () => void {
    const listeners = this.#byType.get(type) ?? new Set()
    this.#byType.set(type, listeners)
    listeners.add(listener as (event: E) => void)
    return () => {
      listeners.delete(listener as (event: E) => void)
      // A set that was left empty before may have been followed by another.
      if (listeners.size === 0 && this.#byType.get(type) === listeners) this.#byType.delete(type)
    }
  }

  /** Publishes every event to a diagnostics channel as well, while it has subscribers. */
  set channel(channel: EventChannel | null) {
    this.#channel = channel
  }

  /** Whether anybody would hear an event of this type: ask before making one on the hit path. */
  wants(type: E['type']): boolean {
    if (this.#channel?.hasSubscribers) return true
    return this.#byType.size > 0 && (this.#byType.has(type) || this.#byType.has('*'))
  }

  emit(event: E): void {
    for (const listeners of [this.#byType.get(event.type), this.#byType.get('*')]) {
      if (listeners) for (const listener of listeners) call(listener, event)
    }
    const channel = this.#channel
    if (channel?.hasSubscribers) call((published) => channel.publish(published), event)
  }
}

/** RELIABILITY 165: what a listener throws is its own affair; it is reported as an uncaught error would be, but never here. */
function call<E>(listener: (event: E) => void, event: E): void {
  try {
    listener(event)
  } catch (error) {
    warn('KEEPFRESH_LISTENER', `an event listener threw: ${String(error)}`)
  }
}
