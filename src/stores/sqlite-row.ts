/** A row of the table and the entry it is: the checksum over head and metadata, and decoded metadata kept at hand. */
import { StoreError } from '../errors.ts'
import { crc32 } from '../engine/crc32.ts'
import type { EntryMeta } from '../engine/ports.ts'
import { decodeMeta } from '../engine/record.ts'

const MEMORISED = 1000

const numbers = new Float64Array(4)
const numberBytes = new Uint8Array(numbers.buffer)

/** The checksum of a row without its body. */
export function headSum(created: number, expires: number, keep: number, size: number, meta: Uint8Array): number {
  numbers[0] = created
  numbers[1] = expires
  numbers[2] = keep
  numbers[3] = size
  return crc32(meta, crc32(numberBytes))
}

export function corruptEntry(key: string, path: string, what: string): StoreError {
  return new StoreError('ERR_STORE_CORRUPT', `The entry ${key} of the SQLite store ${path} is corrupt: ${what}.`)
}

interface Memory {
  readonly id: number
  readonly version: number
  readonly crc: number
  readonly meta: EntryMeta
}

/** Decoded metadata of recently read entries: a repeated hit parses no JSON. The checksum is still computed on every read. */
export class MetaMemory {
  readonly #known = new Map<string, Memory>()

  /** The metadata in `bytes`: the same object as long as the row is the same. */
  decode(key: string, id: number, version: number, crc: number, bytes: Uint8Array): EntryMeta {
    const known = this.#known.get(key)
    if (known !== undefined && known.id === id && known.version === version && known.crc === crc) return known.meta
    const meta = decodeMeta(bytes)
    if (this.#known.size >= MEMORISED && known === undefined) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    }
    this.#known.set(key, { id, version, crc, meta })
    return meta
  }

  forget(key: string): void {
    this.#known.delete(key)
  }

  clear(): void {
    this.#known.clear()
  }
}
