/** A row of the table and the entry it is: the checksum over head and metadata, and decoded metadata kept at hand. */
import { StoreError } from '../errors.ts'
import { crc32, crc32ByTable, crc32Text } from '../engine/crc32.ts'
import type { EntryMeta } from '../engine/ports.ts'
import { decodeMeta, decodeMetaText } from '../engine/record.ts'
import { Generations } from './generations.ts'

const SLOTS = 4096

const numbers = new Float64Array(4)
const numberBytes = new Uint8Array(numbers.buffer)

/** The checksum of a row without its body. */
export function headSum(
  created: number,
  expires: number,
  keep: number,
  size: number,
  meta: string | Uint8Array,
): number {
  numbers[0] = created
  numbers[1] = expires
  numbers[2] = keep
  numbers[3] = size
  // So few bytes are done sooner here than a call of another's takes.
  const seed = crc32ByTable(numberBytes)
  return typeof meta === 'string' ? crc32Text(meta, seed) : crc32(meta, seed)
}

/** Metadata as a row has it: text, which SQLite hands over ready, or bytes, as the first rows of this format had it. */
export function isMeta(value: unknown): value is string | Uint8Array {
  return typeof value === 'string' || value instanceof Uint8Array
}

/** @throws StoreError ERR_STORE_CORRUPT */
export function metaOf(value: string | Uint8Array): EntryMeta {
  return typeof value === 'string' ? decodeMetaText(value) : decodeMeta(value)
}

export function corruptEntry(key: string, path: string, what: string): StoreError {
  return new StoreError('ERR_STORE_CORRUPT', `The entry ${key} of the SQLite store ${path} is corrupt: ${what}.`)
}

interface Known {
  readonly version: number
  readonly crc: number
  readonly meta: EntryMeta
}

/**
 * Decoded metadata of recently read entries, by id, which no other row ever has: a repeated hit parses no JSON. The checksum is still
 * computed on every read. What is read once is not kept: of a million entries read at random, keeping each would cost more than it ever saves.
 */
export class MetaMemory {
  readonly #known = new Generations<number, Known>()
  /** Ids read lately, each in the slot of its last digits. */
  readonly #seen = new Float64Array(SLOTS)

  /** The metadata of a row: the same object as long as the row is the same. */
  decode(id: number, version: number, crc: number, value: string | Uint8Array): EntryMeta {
    const known = this.#known.get(id)
    if (known !== undefined && known.version === version && known.crc === crc) return known.meta
    const meta = metaOf(value)
    if (this.#seen[id % SLOTS] !== id) {
      this.#seen[id % SLOTS] = id
      return meta
    }
    this.#known.set(id, { version, crc, meta })
    return meta
  }

  clear(): void {
    this.#known.clear()
  }
}
