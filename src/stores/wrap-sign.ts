/**
 * keepfresh/sign: a store whose entries are signed, so that who can write to it cannot make the cache answer with what it did not
 * store (feature B10, row 224, RELIABILITY 143).
 *
 * HMAC-SHA-256. The signature of the head covers the key, the metadata as the very bytes that are parsed, the instants, and 16 random
 * bytes that name the body; each block of the body has one of its own (wrap-blocks.ts), under a key derived from that name: head and
 * body of two writes never go together. Comparison takes the same time whatever differs. Nothing unsigned is parsed.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
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
import { isWrappedMeta } from '../engine/meta.ts'
import { decodeMeta, encodeMeta } from '../engine/record.ts'
import { checkOptions } from './options.ts'
import { largestWithin, openBody, openedSize, sealBytes, sealStream, type BlockSeal } from './wrap-blocks.ts'
import { ringOf, secret16, type KeyRing, type RingKey, type Secret } from './wrap-keys.ts'
import {
  corrupt,
  isProvedFor,
  wrappedMeta,
  wrapStore,
  type Bytes,
  type Parcel,
  type VersionedHead,
  type Wrapper,
} from './wrap-store.ts'

export interface SignOptions {
  /** Secrets of at least 16 bytes, the current one first: it signs, all verify. Text or Uint8Array. */
  readonly secrets: readonly Secret[]
}

const FORMAT = 'sign 1'
const MAC = 32

/** What the signed data of a head says, and the key and instants it was proved for. */
interface Opened {
  readonly head: EntryHead
  readonly secret: RingKey
  /** 32 hexadecimal digits that name the body. */
  readonly body: string
  readonly blocks: BlockSeal
}

/**
 * The store, signed; it lists and locks if the given one does.
 * An entry that was changed, signed with a secret that is not given, or not signed, is StoreError ERR_STORE_CORRUPT: to the cache, a
 * miss and an event.
 * @throws OptionError ERR_OPTION_VALUE, ERR_OPTION_UNKNOWN
 * @example
 * ```ts
 * import { SqliteStore } from 'keepfresh/sqlite'
 * import { signed } from 'keepfresh/sign'
 *
 * const [current, previous] = ['a long random text', 'the one before that']
 * const store = signed(new SqliteStore('http.db'), { secrets: [current, previous] })
 * ```
 */
export function signed(store: ListableStore & LockingStore, options: SignOptions): ListableStore & LockingStore
export function signed(store: ListableStore, options: SignOptions): ListableStore
export function signed(store: LockingStore, options: SignOptions): LockingStore
export function signed(store: Store, options: SignOptions): Store
export function signed(store: Store, options: SignOptions): Store {
  checkOptions('signed', options, { secrets: { type: 'object' } })
  return wrapStore(store, new Signature(ringOf('signed', 'secrets', options.secrets, secret16)))
}

class Signature implements Wrapper {
  readonly title = 'signed'
  readonly hidesKeys = false
  readonly reorders = []
  readonly #ring: KeyRing
  /** By the very object the store handed out: a store that keeps metadata at hand costs one verification. */
  readonly #opened = new WeakMap<EntryMeta, Opened>()

  constructor(ring: KeyRing) {
    this.#ring = ring
  }

  limits(inner: StoreLimits): StoreLimits {
    const { maxEntrySize, inlineSize } = inner
    return { ...inner, maxEntrySize: largestWithin(maxEntrySize, MAC), inlineSize: largestWithin(inlineSize, MAC) }
  }

  nameOf(key: string): string {
    return key
  }

  wrap(head: EntryHead, body: Bytes): Parcel {
    const secret = this.#ring.current
    const name = randomBytes(16).toString('hex')
    const blocks = hmacBlocks(bodyKey(secret, name))
    return {
      head: { ...head, meta: sign(head, secret, name) },
      body: body instanceof Uint8Array ? sealBytes(body, blocks) : sealStream(body, blocks),
    }
  }

  #open(stored: EntryHead): Opened {
    const known = this.#opened.get(stored.meta)
    if (known !== undefined && isProvedFor(known.head, stored)) return known
    const meta: unknown = stored.meta
    if (!isWrappedMeta(meta) || meta.by !== FORMAT) throw corrupt('it is not signed, or not by this version')
    const [, id = '', body = '', mac = '', json = ''] =
      /^([0-9a-f]{16}) ([0-9a-f]{32}) ([0-9a-f]{64}) ([^]*)$/.exec(meta.data) ?? []
    const secret = this.#ring.find(id)
    if (secret === undefined) throw corrupt('it was signed with a secret that is not given')
    if (!timingSafeEqual(headMac(stored, secret, body, json), Buffer.from(mac, 'hex'))) {
      throw corrupt('its metadata is not what was signed')
    }
    const { key, createdAt, expiresAt, keepUntil } = stored
    const blocks = hmacBlocks(bodyKey(secret, body))
    const opened = {
      blocks,
      head: { key, meta: decodeMeta(Buffer.from(json)), createdAt, expiresAt, keepUntil },
      secret,
      body,
    }
    this.#opened.set(stored.meta, opened)
    return opened
  }

  unwrap(key: string, stored: StoredEntry): MaybePromise<StoredEntry> {
    const { head, blocks } = this.#open(stored)
    if (head.key !== key) throw corrupt('it is the entry of another key')
    return chain(openBody(stored.body, blocks), (body) => ({ ...head, version: stored.version, body }))
  }

  change(key: string, stored: VersionedHead, { meta, expiresAt, keepUntil }: EntryChange): EntryChange {
    const { head, secret, body } = this.#open(stored)
    if (head.key !== key) throw corrupt('it is the entry of another key')
    return { meta: sign({ ...head, meta, expiresAt, keepUntil }, secret, body), expiresAt, keepUntil }
  }

  list(stored: ListedEntry): ListedEntry {
    const { head } = this.#open(stored)
    const size = openedSize(stored.size, MAC)
    if (size === null) throw corrupt('its body was cut')
    return { ...head, version: stored.version, size }
  }
}

function sign(head: EntryHead, secret: RingKey, body: string): EntryMeta {
  const json = Buffer.from(encodeMeta(head.meta)).toString('utf8')
  const mac = headMac(head, secret, body, json).toString('hex')
  return wrappedMeta(head.key, FORMAT, `${secret.id} ${body} ${mac} ${json}`)
}

function headMac(
  { key, createdAt, expiresAt, keepUntil }: EntryHead,
  secret: RingKey,
  body: string,
  json: string,
): Buffer {
  const covered = JSON.stringify([`keepfresh ${FORMAT} head`, key, createdAt, expiresAt, keepUntil, body, json])
  return createHmac('sha256', secret.bytes).update(covered).digest()
}

function bodyKey(secret: RingKey, body: string): Uint8Array {
  return createHmac('sha256', secret.bytes)
    .update(JSON.stringify([`keepfresh ${FORMAT} body`, body]))
    .digest()
}

/** Blocks under a key that only one body has: the MAC covers the block's number, and whether it is the last. */
export function hmacBlocks(key: Uint8Array): BlockSeal {
  const macOf = (block: Uint8Array, n: number, last: boolean): Buffer =>
    createHmac('sha256', key)
      .update(`${n} ${last ? 'last' : 'more'}\n`)
      .update(block)
      .digest()
  return {
    overhead: MAC,
    seal: (block, n, last) => Buffer.concat([block, macOf(block, n, last)]),
    open(sealed, n, last) {
      if (sealed.length < MAC) return null
      const block = sealed.slice(0, -MAC)
      return timingSafeEqual(macOf(block, n, last), sealed.subarray(-MAC)) ? block : null
    },
  }
}
