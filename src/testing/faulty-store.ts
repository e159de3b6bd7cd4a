/** A store that fails on demand, for what a cache must survive (RELIABILITY group B). */
import { OptionError } from '../errors.ts'
import type { EntryChange, EntryHead, MaybePromise, Store, StoredEntry, StoreLimits, Version } from '../engine/ports.ts'

export type FaultyMethod = 'read' | 'write' | 'update' | 'delete'

/** How a call fails: throws, rejects, never settles, answers garbage (read), breaks its stream, or never reads the one it is given (write). */
export type Fault = 'throw' | 'reject' | 'hang' | 'garbage' | 'break-stream' | 'never-drain'

const ANY: readonly Fault[] = ['throw', 'reject', 'hang']

const FAULTS: Readonly<Record<FaultyMethod, readonly Fault[]>> = {
  read: [...ANY, 'garbage', 'break-stream'],
  write: [...ANY, 'never-drain'],
  update: ANY,
  delete: ANY,
}

const METHODS: readonly string[] = Object.keys(FAULTS)

/**
 * A store with faults on demand, over another one; it counts the calls.
 *
 * @example
 * ```ts
 * import { createCachedFetch, MemoryStore } from 'keepfresh'
 * import { FaultyStore } from 'keepfresh/testing'
 *
 * const store = new FaultyStore(new MemoryStore()).fail('read', 'reject')
 * const fetch = createCachedFetch({ store })
 * const response = await fetch('https://api.example.com/users') // the origin answers: the store is never in the way
 * console.log(response.status, store.calls.read > 0) // 200 true
 * ```
 */
export class FaultyStore implements Store {
  readonly name: string
  readonly limits: StoreLimits
  /** Calls so far, by method. */
  readonly calls: Record<FaultyMethod, number> = { read: 0, write: 0, update: 0, delete: 0 }
  readonly #inner: Store
  readonly #faults: { method: FaultyMethod; fault: Fault; from: number; to: number }[] = []

  constructor(inner: Store) {
    if (typeof inner?.read !== 'function')
      throw new OptionError('ERR_OPTION_VALUE', 'inner', 'FaultyStore: give the store that is to fail')
    this.#inner = inner
    this.name = `faulty ${inner.name}`
    this.limits = inner.limits
  }

  /**
   * The n-th call (from 1) of a method fails so; without `n`, every call from now on.
   * @throws OptionError for a method or a fault there is none of
   */
  fail(method: FaultyMethod, fault: Fault, n?: number): this {
    const faults = Object.hasOwn(FAULTS, method) ? FAULTS[method] : null
    if (faults === null)
      throw new OptionError('ERR_OPTION_VALUE', 'method', `FaultyStore: a method is one of ${METHODS.join(', ')}`)
    if (!faults.includes(fault))
      throw new OptionError('ERR_OPTION_VALUE', 'fault', `FaultyStore: ${method} fails by ${faults.join(', ')}`)
    this.#faults.push({ method, fault, from: n ?? this.calls[method] + 1, to: n ?? Infinity })
    return this
  }

  /** No more faults. */
  heal(): void {
    this.#faults.length = 0
  }

  #fault(method: FaultyMethod): Fault | undefined {
    const call = ++this.calls[method]
    return this.#faults.find(({ method: m, from, to }) => m === method && from <= call && call <= to)?.fault
  }

  read(key: string): MaybePromise<StoredEntry | undefined> {
    const fault = this.#fault('read')
    const entry =
      fault === 'garbage' || fault === undefined || fault === 'break-stream' ? this.#inner.read(key) : undefined
    if (fault === 'garbage')
      return Object.assign(Object.create(null), { key, meta: { kind: 'response', key }, body: 7 }) as StoredEntry
    if (fault !== 'break-stream') return fault === undefined ? entry : failing(fault, named('read'))
    return Promise.resolve(entry).then(
      (found) => found && { ...found, body: { ...found.body, size: found.body.size, bytes: null, open: broken } },
    )
  }

  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): MaybePromise<Version | void> {
    const fault = this.#fault('write')
    if (fault === 'never-drain') return new Promise(() => undefined)
    return fault === undefined ? this.#inner.write(head, body) : failing(fault, named('write'))
  }

  update(key: string, change: EntryChange, version: Version): MaybePromise<boolean> {
    const fault = this.#fault('update')
    return fault === undefined ? this.#inner.update(key, change, version) : failing(fault, named('update'))
  }

  delete(keys: readonly string[]): MaybePromise<number> {
    const fault = this.#fault('delete')
    return fault === undefined ? this.#inner.delete(keys) : failing(fault, named('delete'))
  }

  close(): MaybePromise<void> {
    return this.#inner.close()
  }
}

function named(name: FaultyMethod): string {
  return `boom: ${name}`
}

function failing(fault: Fault, message: string): Promise<never> {
  if (fault === 'throw') throw new Error(message)
  return fault === 'hang' ? new Promise(() => undefined) : Promise.reject(new Error(message))
}

function broken(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull() {
      throw new Error('boom: stream')
    },
  })
}
