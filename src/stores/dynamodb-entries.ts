/**
 * Entries: read in one request, replaced, changed and deleted in one where no chunks are to be retired.
 *
 * 1. DynamoDB can tell what a write took the place of only by sending all of it, body included. Only chunks have to be known, and so
 *    a write is conditional on there being none; where there are, it is repeated, conditional on just those.
 * 2. Every condition also holds for what the request itself may have done a moment ago: the SDK repeats a request whose answer was
 *    lost.
 */
import { StoreError } from '../errors.ts'
import {
  NEVER,
  type EntryChange,
  type EntryHead,
  type ReadOutcome,
  type StoredEntry,
  type Version,
} from '../engine/ports.ts'
import { hexOf, type ChunkedAs } from '../engine/record.ts'
import { summed } from './chunks.ts'
import { each, type DynamoBatches } from './dynamodb-batch.ts'
import type { DynamoBodies } from './dynamodb-bodies.ts'
import type { Attribute, Item } from './dynamodb-client.ts'
import type { DynamoConnection } from './dynamodb-connection.ts'
import { ABOUT, WHOLE, countOf, decodeItem, DynamoItems, encodeHead, number, type Stored } from './dynamodb-items.ts'
import type { DynamoLifetimes } from './dynamodb-lifetimes.ts'
import type { DynamoNames } from './dynamodb-names.ts'
import { outcomeNow } from './read-many.ts'

/** Each time one of the others who write this entry has succeeded. */
const MAX_OVERTAKEN = 100
const NO_CHUNKS = 'attribute_not_exists(#chunks)'

/** An entry with chunks that is in the way of a write or a deletion; `ref` is null where they cannot be told. */
interface InTheWay {
  readonly version: Attribute | undefined
  readonly ref: ChunkedAs | null
}

export class DynamoEntries {
  readonly #connection: DynamoConnection
  readonly #names: DynamoNames
  readonly #batches: DynamoBatches
  readonly #bodies: DynamoBodies
  readonly #lifetimes: DynamoLifetimes
  readonly #items: DynamoItems
  readonly #consistent: boolean

  constructor(
    connection: DynamoConnection,
    names: DynamoNames,
    batches: DynamoBatches,
    bodies: DynamoBodies,
    lifetimes: DynamoLifetimes,
    consistent: boolean,
  ) {
    this.#connection = connection
    this.#names = names
    this.#batches = batches
    this.#bodies = bodies
    this.#lifetimes = lifetimes
    this.#items = new DynamoItems(names)
    this.#consistent = consistent
  }

  async read(key: string): Promise<StoredEntry | undefined> {
    const { Item: item } = await this.#connection.call('GetItem', {
      Key: this.#names.keyOf(this.#names.entry(key)),
      ConsistentRead: this.#consistent,
    })
    return this.#entryOf(key, item)
  }

  /** All of them in as few requests as DynamoDB takes. */
  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    const names = keys.map((key) => this.#names.entry(key))
    const found = await this.#batches.get([...new Set(names)], WHOLE)
    return keys.map((key, index) => outcomeNow(() => this.#entryOf(key, found.get(names[index] ?? ''))))
  }

  #entryOf(key: string, item: Item | undefined): StoredEntry | undefined {
    if (item === undefined) return undefined
    const { head, version, ref, chunks } = this.#items.decode(key, item)
    const body = chunks > 0 ? this.#bodies.open(key, ref) : this.#items.inlineBody(key, item, ref.size)
    return { ...head, version, body }
  }

  /** All about what is under a key but the body's bytes. */
  async #lookUp(key: string): Promise<Item | undefined> {
    const { Item: item } = await this.#connection.call('GetItem', {
      Key: this.#names.keyOf(this.#names.entry(key)),
      ConsistentRead: true,
      ProjectionExpression: `${ABOUT}, #version`,
      ...this.#names.in(ABOUT, '#version'),
    })
    return item
  }

  /** Puts an entry in place of what is there: with its body, or with chunks that are written already. */
  async publish(head: EntryHead, ref: ChunkedAs, body: Uint8Array | null): Promise<void> {
    const { key, createdAt, expiresAt, keepUntil } = head
    const encoded = encodeHead(head, ref)
    const until = this.#lifetimes.ofChunks(keepUntil)
    const ttl = this.#lifetimes.ofEntry(keepUntil)
    const item = {
      ...this.#names.keyOf(this.#names.entry(key)),
      ...encoded,
      created: number(createdAt),
      expires: number(expiresAt),
      ...(ttl === undefined ? {} : { [this.#names.ttl]: ttl }),
      ...(body !== null ? { [this.#names.value]: { B: summed(body, 0) } } : { chunks: number(countOf(ref)) }),
      ...(body === null && until < NEVER ? { until: number(until) } : {}),
    }
    this.#items.forget(key)
    await this.#overtake(key, 'PutItem', { Item: item }, NO_CHUNKS, encoded.version)
    if (body === null && until >= NEVER) await this.#bodies.keep(key, ref, until)
  }

  /**
   * Does it to what is under the key, and retires the chunks that were; whether it was done, which the condition may not allow where
   * nothing is there.
   */
  async #overtake(
    key: string,
    operation: 'PutItem' | 'DeleteItem',
    input: object,
    condition: string,
    own: Attribute | null,
  ): Promise<boolean> {
    let seen: InTheWay | null = null
    for (let tries = 0; tries < MAX_OVERTAKEN; tries++) {
      const tried = await this.#connection.attempt(operation, this.#conditional(input, condition, seen, own))
      if (tried.done) return this.#retired(key, seen, true)
      const item: Item | undefined = tried.item ?? (await this.#lookUp(key))
      const next = item === undefined ? null : inTheWay(item)
      if (seen !== null && !isSameBody(seen, next)) await this.#retired(key, seen, true)
      // Gone, or, where we deleted what we saw, perhaps by ourselves.
      if (item === undefined && operation === 'DeleteItem') return seen !== null
      seen = next
    }
    throw new StoreError('ERR_STORE_BUSY', `The entry of ${key} is replaced again and again by others.`)
  }

  async #retired(key: string, seen: InTheWay | null, done: boolean): Promise<boolean> {
    if (seen !== null && seen.ref !== null) await this.#bodies.retire(key, seen.ref)
    return done
  }

  #conditional(input: object, condition: string, seen: InTheWay | null, own: Attribute | null): object {
    // Foreign, with no version: whatever it is.
    if (seen !== null && seen.version === undefined) return input
    const first = seen === null ? condition : '#version = :seen'
    const expression = own === null ? first : `${first} OR #version = :own`
    const values = {
      ...(seen?.version === undefined ? {} : { ':seen': seen.version }),
      ...(own === null ? {} : { ':own': own }),
    }
    return {
      ...input,
      ConditionExpression: expression,
      ...this.#names.in(expression),
      ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values }),
    }
  }

  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    const before = this.#items.known(key, version) ?? (await this.#stored(key))
    if (before?.version !== version) return false
    const { meta, expiresAt, keepUntil } = change
    const encoded = encodeHead({ ...before.head, meta, expiresAt, keepUntil }, before.ref)
    const until = this.#untilAfter(before, keepUntil)
    const ttl = this.#lifetimes.ofEntry(keepUntil)
    const set = {
      ...encoded,
      expires: number(expiresAt),
      ...(until < NEVER ? { until: number(until) } : {}),
      ...(ttl === undefined ? {} : { ttl }),
    }
    const remove = [...(until < NEVER ? [] : ['until']), ...(ttl === undefined ? ['ttl'] : [])]
    const values = { ':seen': { B: Buffer.from(before.version, 'hex') } }
    const name = this.#names.entry(key)
    const input = this.#names.change(name, set, remove, '#version = :seen OR #version = :version', values)
    const { done } = await this.#connection.attempt('UpdateItem', input)
    this.#items.forget(key)
    if (done && until !== before.until) await this.#bodies.keep(key, before.ref, until)
    return done
  }

  /** How long the chunks are to live when their entry is of use until then: as long as they do, where that will do. */
  #untilAfter({ chunks, until }: Stored, keepUntil: number): number {
    const isEnough = until >= keepUntil && until >= NEVER === keepUntil >= NEVER
    return chunks === 0 || isEnough ? until : this.#lifetimes.ofChunks(keepUntil)
  }

  async #stored(key: string): Promise<Stored | undefined> {
    const item = await this.#lookUp(key)
    return item === undefined ? undefined : this.#items.decode(key, item)
  }

  /** @param keys different ones */
  async delete(keys: readonly string[]): Promise<number> {
    for (const key of keys) this.#items.forget(key)
    const [only] = keys
    if (keys.length <= 1) return only === undefined || !(await this.#deleteOne(only)) ? 0 : 1
    const names = new Map(keys.map((key) => [this.#names.entry(key), key]))
    const found = await this.#batches.get([...names.keys()], '#key, #chunks')
    const chunked: string[] = []
    const plain: string[] = []
    for (const [name, item] of found) {
      const key = names.get(name)
      if (key === undefined) continue
      if (item['chunks'] === undefined) plain.push(name)
      else chunked.push(key)
    }
    await this.#batches.delete(plain)
    const done = await each(chunked, (key) => this.#deleteOne(key))
    return plain.length + done.filter(Boolean).length
  }

  #deleteOne(key: string): Promise<boolean> {
    const Key = this.#names.keyOf(this.#names.entry(key))
    return this.#overtake(key, 'DeleteItem', { Key }, `attribute_exists(#key) AND ${NO_CHUNKS}`, null)
  }

  close(): void {
    this.#items.clear()
  }
}

/** Null: it has no chunks. */
function inTheWay(item: Item): InTheWay | null {
  if (item['chunks'] === undefined) return null
  return { version: item['version'], ref: refOf(item) }
}

function refOf(item: Item): ChunkedAs | null {
  try {
    return decodeItem(item).ref
  } catch {
    // Foreign or damaged: it names no chunks that we know of.
    return null
  }
}

function isSameBody(a: InTheWay, b: InTheWay | null): boolean {
  return a.ref !== null && b !== null && b.ref !== null && hexOf(a.ref.id) === hexOf(b.ref.id)
}
