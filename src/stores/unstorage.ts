/**
 * keepfresh/unstorage: an unstorage instance as a store (feature B9), and with it every driver that unstorage has.
 *
 * Rule 1: values are raw bytes; unstorage itself makes base64 of them for drivers that hold text only.
 * Rule 2: lifetimes are given as `ttl` in seconds; drivers that know none ignore it, and deleteExpired does their work.
 * Rule 3: nothing but names of ours is ever removed: `clear` takes them one by one, since some drivers clear everything.
 * Rule 4: names and turns are those of slot-backend.ts.
 */
import type { Clock } from '../engine/ports.ts'
import { checkOptions, CLOCK_RULE, wrong } from './options.ts'
import { outcomeOf } from './read-many.ts'
import { ListableRecordStore } from './record-listing.ts'
import {
  ListableSlotBackend,
  SLOT_RULES,
  type ListableSlots,
  type SlotOptions,
  type SlotValue,
} from './slot-backend.ts'

/** What is used of unstorage (version 1). */
export interface UnstorageLike {
  getItemRaw(key: string): Promise<unknown>
  setItemRaw(key: string, value: unknown, options?: { ttl?: number }): Promise<void>
  removeItem(key: string): Promise<void>
  getKeys(base?: string): Promise<string[]>
  dispose(): Promise<void>
}

export interface UnstorageStoreOptions extends SlotOptions {
  /** Entries survive the process. Default true. */
  readonly persistent?: boolean
  /** Several processes use it at once. Default false. */
  readonly shared?: boolean
  /** Dispose of the storage when the store is closed. Default false: it was given, and stays open. */
  readonly dispose?: boolean
  /** For tests. Default the system's. */
  readonly clock?: Clock
}

class UnstorageSlots implements ListableSlots {
  readonly #storage: UnstorageLike
  readonly #disposes: boolean

  constructor(storage: UnstorageLike, disposes: boolean) {
    this.#storage = storage
    this.#disposes = disposes
  }

  get(names: readonly string[]): Promise<readonly SlotValue[]> {
    return Promise.all(names.map((name) => outcomeOf(async () => bytesOf(await this.#storage.getItemRaw(name)))))
  }

  async put(name: string, value: Uint8Array, ttl: number | null): Promise<void> {
    await this.#storage.setItemRaw(name, value, ttl === null ? {} : { ttl: Math.ceil(ttl / 1000) })
  }

  async remove(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.#storage.removeItem(name)))
  }

  async *names(prefix: string): AsyncGenerator<readonly [name: string, value: null]> {
    for (const name of await this.#storage.getKeys(prefix)) if (name.startsWith(prefix)) yield [name, null]
  }

  async close(): Promise<void> {
    if (this.#disposes) await this.#storage.dispose()
  }
}

/**
 * An unstorage instance as a store.
 *
 * @example
 * ```ts
 * import { createStorage } from 'unstorage'
 * import { UnstorageStore } from 'keepfresh/unstorage'
 *
 * const store = new UnstorageStore(createStorage())
 * ```
 */
export class UnstorageStore extends ListableRecordStore {
  /** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE */
  constructor(storage: UnstorageLike, options: UnstorageStoreOptions = {}) {
    checkUnstorage(storage, options)
    const { persistent = true, shared = false, dispose = false } = options
    const slots = new UnstorageSlots(storage, dispose)
    super(new ListableSlotBackend('unstorage', slots, options, { persistent, shared }), options.clock)
  }
}

/** Whether a value can be used as unstorage is. */
export function isUnstorageLike(value: unknown): value is UnstorageLike {
  if (typeof value !== 'object' || value === null) return false
  const names = ['getItemRaw', 'setItemRaw', 'removeItem', 'getKeys', 'dispose']
  return names.every((name) => typeof Reflect.get(value, name) === 'function')
}

/** What is no bytes is bytes that are no frame: the store says that they are damaged. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined
  if (value instanceof Uint8Array) return value
  return value instanceof ArrayBuffer ? new Uint8Array(value) : new Uint8Array()
}

function checkUnstorage(storage: unknown, options: UnstorageStoreOptions): void {
  if (!isUnstorageLike(storage))
    throw wrong('UnstorageStore', 'storage', 'must be what createStorage() of unstorage made')
  const boolean = { type: 'boolean' } as const
  const own = { persistent: boolean, shared: boolean, dispose: boolean, clock: CLOCK_RULE }
  checkOptions('UnstorageStore', options, { ...SLOT_RULES, ...own })
}
