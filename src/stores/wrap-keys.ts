/**
 * The keys of encrypting and signing wrappers: the first is used to write, all of them to read, so that keys can be replaced.
 * Each is known by the first 8 bytes of a MAC under it, stored with every entry. No message ever contains a key.
 */
import { createHmac } from 'node:crypto'
import { wrong } from './options.ts'

export type Secret = string | Uint8Array

export interface RingKey {
  /** 16 hexadecimal digits that name it, and tell nothing about it. */
  readonly id: string
  readonly bytes: Uint8Array
}

export class KeyRing {
  readonly current: RingKey
  readonly #byId: ReadonlyMap<string, RingKey>

  constructor(current: RingKey, all: readonly RingKey[]) {
    this.current = current
    this.#byId = new Map(all.map((key) => [key.id, key]))
  }

  find(id: string): RingKey | undefined {
    return this.#byId.get(id)
  }
}

/**
 * The ring of a list of secrets, the current one first.
 * @throws OptionError ERR_OPTION_VALUE
 */
export function ringOf(
  wrapper: string,
  option: string,
  secrets: unknown,
  parse: (secret: unknown) => Uint8Array | string,
): KeyRing {
  if (!Array.isArray(secrets)) throw wrong(wrapper, option, 'must be an array, the current one first')
  const all = secrets.map((secret: unknown): RingKey => {
    const bytes = parse(secret)
    if (typeof bytes === 'string') throw wrong(wrapper, option, bytes)
    return { id: createHmac('sha256', bytes).update('keepfresh key id').digest('hex').slice(0, 16), bytes }
  })
  const [current] = all
  if (current === undefined) throw wrong(wrapper, option, 'must not be empty')
  return new KeyRing(current, all)
}

/** A key of exactly 32 bytes: as bytes, 64 hexadecimal digits, or base64. A text: why it is none. */
export function key32(secret: unknown): Uint8Array | string {
  const form = 'holds keys of 32 random bytes: as Uint8Array, 64 hexadecimal digits or base64'
  if (secret instanceof Uint8Array) return secret.length === 32 ? Uint8Array.from(secret) : form
  if (typeof secret !== 'string') return form
  if (/^[0-9a-f]{64}$/i.test(secret)) return Uint8Array.from(Buffer.from(secret, 'hex'))
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(secret)) return Uint8Array.from(Buffer.from(secret, 'base64'))
  return form
}

/** A secret of at least 16 bytes; text as UTF-8. A text: why it is none. */
export function secret16(secret: unknown): Uint8Array | string {
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret
  return bytes instanceof Uint8Array && bytes.length >= 16
    ? Uint8Array.from(bytes)
    : 'holds secrets of at least 16 bytes, as text or Uint8Array'
}
