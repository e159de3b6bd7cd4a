/** `strict`: nothing is done until every server has answered once, and a server that is down is an error, not a miss. */
import { StoreError } from '../errors.ts'
import {
  getManyOf,
  type Found,
  type MemcachedBatchCommands,
  type MemcachedCommands,
  type VersionedValue,
} from './memcached-client.ts'
import { DownError } from './memcached-connection.ts'

export class StrictCommands implements MemcachedBatchCommands {
  readonly #client: MemcachedCommands
  #ready: Promise<void> | null = null

  constructor(client: MemcachedCommands) {
    this.#client = client
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#run(() => this.#client.get(key))
  }
  async getMany(keys: readonly string[]): Promise<readonly Found[]> {
    const found = await this.#run(() => getManyOf(this.#client, keys))
    return found.map((each) => (each instanceof DownError ? failureOf(each) : each))
  }
  gets(key: string): Promise<VersionedValue | undefined> {
    return this.#run(() => this.#client.gets(key))
  }
  set(key: string, value: Uint8Array, exptime: number): Promise<void> {
    return this.#run(() => this.#client.set(key, value, exptime))
  }
  add(key: string, value: Uint8Array, exptime: number): Promise<boolean> {
    return this.#run(() => this.#client.add(key, value, exptime))
  }
  cas(key: string, value: Uint8Array, exptime: number, cas: string): Promise<boolean> {
    return this.#run(() => this.#client.cas(key, value, exptime, cas))
  }
  delete(key: string): Promise<boolean> {
    return this.#run(() => this.#client.delete(key))
  }
  touch(key: string, exptime: number): Promise<boolean> {
    return this.#run(() => this.#client.touch(key, exptime))
  }
  versions(): Promise<ReadonlyMap<string, string>> {
    return this.#client.versions()
  }

  async #run<T>(command: () => Promise<T>): Promise<T> {
    try {
      // Asked for once; and again where that failed.
      this.#ready ??= allAnswer(this.#client)
      await this.#ready
    } catch (error) {
      this.#ready = null
      throw error
    }
    try {
      return await command()
    } catch (error) {
      throw error instanceof DownError ? failureOf(error) : error
    }
  }
}

function failureOf(error: DownError): StoreError {
  return new StoreError(error.code, error.message, { cause: error })
}

/**
 * Resolves when every server has answered.
 * @throws StoreError ERR_STORE_OPEN, with the first that does not and why
 */
export async function allAnswer(client: MemcachedCommands): Promise<void> {
  try {
    await client.versions()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StoreError('ERR_STORE_OPEN', `Not every memcached server answers. ${reason}`, { cause })
  }
}
