/**
 * keepfresh/encrypt: a store that sees neither URLs, headers nor bodies (features B10, rows 228, RELIABILITY 144).
 *
 * AES-256-GCM. Every entry has 16 random bytes, from which and a key of the ring HKDF makes two keys no other entry has: one for
 * the metadata (with a random nonce: it is encrypted anew by every update), one for the blocks of the body (wrap-blocks.ts).
 * The metadata's tag covers the key and the instants in clear, so that no entry can stand for another, nor be made to live longer.
 * What stays visible: the keys, unless `hideKeys`; when entries were made and expire, and how long they are.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type {
  EntryChange,
  EntryHead,
  EntryMeta,
  ListableStore,
  ListedEntry,
  LockingStore,
  MaybePromise,
  Store,
  StoredEntry,
  StoreLimits,
} from '../engine/ports.ts'
import { chain } from '../engine/maybe.ts'
import { isValidMeta, isWrappedMeta } from '../engine/meta.ts'
import { encodeMeta } from '../engine/record.ts'
import { checkOptions, wrong } from './options.ts'
import { largestWithin, openBody, openedSize, sealBytes, sealStream, type BlockSeal } from './wrap-blocks.ts'
import { key32, ringOf, type KeyRing, type Secret } from './wrap-keys.ts'
import {
  corrupt,
  isProvedFor,
  wrappedMeta,
  wrapStore,
  type Bytes,
  type Parcel,
  type Proved,
  type VersionedHead,
  type Wrapper,
} from './wrap-store.ts'

export interface EncryptOptions {
  /** Keys of 32 random bytes each, the current one first: it encrypts, all decrypt. As Uint8Array, 64 hexadecimal digits or base64. */
  readonly keys: readonly Secret[]
  /**
   * A secret of 32 random bytes, which makes the names the store sees: entries are then under an HMAC of their key. It is none of
   * `keys` and is not replaced: under another one, everything stored is a miss. Default: keys are in clear.
   */
  readonly hideKeys?: Secret
}

const FORMAT = 'encrypt 1'
const TAG = 16
const SALT = 16
const NONCE = 12
const ID = 8

interface EntryKeys {
  readonly head: Uint8Array
  readonly body: Uint8Array
}

/** What was inside the metadata, and what it was proved for. */
interface Opened {
  readonly proved: Proved
  readonly key: string
  readonly meta: EntryMeta
  readonly keys: EntryKeys
}

/**
 * The store, encrypted; it lists and locks if the given one does.
 * A wrong key, and anything that was changed or not written so, is StoreError ERR_STORE_CORRUPT: to the cache, a miss and an event.
 * @throws OptionError ERR_OPTION_VALUE, ERR_OPTION_UNKNOWN
 * @example
 * ```ts
 * import { randomBytes } from 'node:crypto'
 * import { encrypted } from 'keepfresh/encrypt'
 * import { SqliteStore } from 'keepfresh/sqlite'
 *
 * const key = randomBytes(32) // made once, and kept where secrets are
 * const store = encrypted(new SqliteStore('http.db'), { keys: [key] })
 * ```
 */
export function encrypted(store: ListableStore & LockingStore, options: EncryptOptions): ListableStore & LockingStore
export function encrypted(store: ListableStore, options: EncryptOptions): ListableStore
export function encrypted(store: LockingStore, options: EncryptOptions): LockingStore
export function encrypted(store: Store, options: EncryptOptions): Store
export function encrypted(store: Store, options: EncryptOptions): Store {
  checkOptions('encrypted', options, { keys: { type: 'object' }, hideKeys: { type: 'any' } })
  const ring = ringOf('encrypted', 'keys', options.keys, key32)
  const naming = options.hideKeys === undefined ? null : key32(options.hideKeys)
  if (typeof naming === 'string') throw wrong('encrypted', 'hideKeys', naming)
  return wrapStore(store, new Encryption(ring, naming))
}

class Encryption implements Wrapper {
  readonly title = 'encrypted'
  readonly hidesKeys: boolean
  readonly reorders: Wrapper['reorders']
  readonly #ring: KeyRing
  readonly #naming: Uint8Array | null
  /** By the very object the store handed out: a store that keeps metadata at hand costs one decryption. */
  readonly #opened = new WeakMap<EntryMeta, Opened>()

  constructor(ring: KeyRing, naming: Uint8Array | null) {
    this.#ring = ring
    this.#naming = naming
    this.hidesKeys = naming !== null
    this.reorders = naming === null ? [] : ['key']
  }

  limits(inner: StoreLimits): StoreLimits {
    const { maxEntrySize, inlineSize } = inner
    return { ...inner, maxEntrySize: largestWithin(maxEntrySize, TAG), inlineSize: largestWithin(inlineSize, TAG) }
  }

  nameOf(key: string): string {
    return this.#naming === null
      ? key
      : createHmac('sha256', this.#naming).update(JSON.stringify(key)).digest('base64url')
  }

  wrap(head: EntryHead, body: Bytes): Parcel {
    const salt = randomBytes(SALT)
    const { id, bytes } = this.#ring.current
    const keys = entryKeys(bytes, salt)
    const blocks = gcmBlocks(keys.body)
    return {
      head: this.#seal(head, Buffer.from(id, 'hex'), salt, keys),
      body: body instanceof Uint8Array ? sealBytes(body, blocks) : sealStream(body, blocks),
    }
  }

  #seal(head: EntryHead, id: Uint8Array, salt: Uint8Array, keys: EntryKeys): EntryHead {
    const { key, meta, createdAt, expiresAt, keepUntil } = head
    const name = this.nameOf(key)
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv('aes-256-gcm', keys.head, nonce, { authTagLength: TAG })
    cipher.setAAD(covered(name, createdAt, expiresAt, keepUntil))
    const prefix = cipher.update(JSON.stringify(key) + '\n', 'utf8')
    const sealed = [id, salt, nonce, prefix, cipher.update(encodeMeta(meta)), cipher.final(), cipher.getAuthTag()]
    return {
      key: name,
      meta: wrappedMeta(name, FORMAT, Buffer.concat(sealed).toString('base64')),
      createdAt,
      expiresAt,
      keepUntil,
    }
  }

  #open(stored: EntryHead): Opened {
    const known = this.#opened.get(stored.meta)
    if (known !== undefined && isProvedFor(known.proved, stored)) return known
    const meta: unknown = stored.meta
    if (!isWrappedMeta(meta) || meta.by !== FORMAT) throw corrupt('it is not encrypted, or not by this version')
    const box = Buffer.from(meta.data, 'base64')
    if (box.length < ID + SALT + NONCE + TAG) throw corrupt('its metadata was cut')
    const ringKey = this.#ring.find(box.toString('hex', 0, ID))
    if (ringKey === undefined) throw corrupt('it was encrypted with a key that is not given')
    const keys = entryKeys(ringKey.bytes, box.subarray(ID, ID + SALT))
    const { key, createdAt, expiresAt, keepUntil } = stored
    const proved = { key, createdAt, expiresAt, keepUntil }
    const opened = { ...decrypted(box.subarray(ID + SALT), stored, keys.head), keys, proved }
    this.#opened.set(stored.meta, opened)
    return opened
  }

  unwrap(key: string, stored: StoredEntry): MaybePromise<StoredEntry> {
    const { createdAt, expiresAt, keepUntil, version } = stored
    const opened = this.#open(stored)
    if (opened.key !== key) throw corrupt('it is the entry of another key')
    const head = { key, meta: opened.meta, createdAt, expiresAt, keepUntil, version }
    return chain(openBody(stored.body, gcmBlocks(opened.keys.body)), (body) => ({ ...head, body }))
  }

  change(key: string, stored: VersionedHead, change: EntryChange): EntryChange {
    const { keys, key: own } = this.#open(stored)
    const before: unknown = stored.meta
    if (own !== key || !isWrappedMeta(before)) throw corrupt('it is the entry of another key')
    // The body stays as it is: under the same key of the ring and the same salt.
    const start = Buffer.from(before.data, 'base64').subarray(0, ID + SALT)
    const { meta, expiresAt, keepUntil } = change
    const next = { key, meta, createdAt: stored.createdAt, expiresAt, keepUntil }
    const sealed = this.#seal(next, start.subarray(0, ID), start.subarray(ID), keys)
    return { meta: sealed.meta, expiresAt, keepUntil }
  }

  list(stored: ListedEntry): ListedEntry {
    const { createdAt, expiresAt, keepUntil, version } = stored
    const { key, meta } = this.#open(stored)
    const size = openedSize(stored.size, TAG)
    if (size === null) throw corrupt('its body was cut')
    return { key, meta, createdAt, expiresAt, keepUntil, version, size }
  }
}

function entryKeys(secret: Uint8Array, salt: Uint8Array): EntryKeys {
  const bytes = new Uint8Array(hkdfSync('sha256', secret, salt, `keepfresh ${FORMAT}`, 64))
  return { head: bytes.subarray(0, 32), body: bytes.subarray(32) }
}

function covered(name: string, createdAt: number, expiresAt: number, keepUntil: number): Buffer {
  return Buffer.from(JSON.stringify([FORMAT, name, createdAt, expiresAt, keepUntil]))
}

/** What is behind the nonce: the key as JSON, a line break (JSON has none inside), the metadata as JSON. */
function decrypted(box: Buffer, stored: EntryHead, secret: Uint8Array): { key: string; meta: EntryMeta } {
  const { key: name, createdAt, expiresAt, keepUntil } = stored
  const decipher = createDecipheriv('aes-256-gcm', secret, box.subarray(0, NONCE), { authTagLength: TAG })
  decipher.setAAD(covered(name, createdAt, expiresAt, keepUntil))
  decipher.setAuthTag(box.subarray(-TAG))
  let text: string
  try {
    text = Buffer.concat([decipher.update(box.subarray(NONCE, -TAG)), decipher.final()]).toString('utf8')
  } catch (cause) {
    throw corrupt('its metadata is not what was written', cause)
  }
  const end = text.indexOf('\n')
  const key: unknown = JSON.parse(text.slice(0, end))
  const meta: unknown = JSON.parse(text.slice(end + 1))
  if (typeof key !== 'string' || !isValidMeta(meta)) throw corrupt('a field of its metadata has the wrong type')
  return { key, meta }
}

function nonceOf(n: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(NONCE)
  const view = new DataView(nonce.buffer)
  view.setBigUint64(0, BigInt(n))
  view.setUint8(NONCE - 1, last ? 1 : 0)
  return nonce
}

/** Blocks under a key that only one body has: the nonce is the block's number, and whether it is the last. */
export function gcmBlocks(key: Uint8Array): BlockSeal {
  return {
    overhead: TAG,
    seal(block, n, last) {
      const cipher = createCipheriv('aes-256-gcm', key, nonceOf(n, last), { authTagLength: TAG })
      return Buffer.concat([cipher.update(block), cipher.final(), cipher.getAuthTag()])
    },
    open(sealed, n, last) {
      if (sealed.length < TAG) return null
      const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(n, last), { authTagLength: TAG })
      decipher.setAuthTag(sealed.subarray(-TAG))
      const block = decipher.update(sealed.subarray(0, -TAG))
      try {
        decipher.final()
      } catch {
        // The tag does not prove it: what was decrypted is not handed out.
        return null
      }
      return block
    },
  }
}
