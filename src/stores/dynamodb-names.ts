/**
 * The names of our items and attributes. Nothing of a caller's key is in an item's but its SHA-256, in base64url.
 *
 *     namespace#e#H          an entry
 *     namespace#c#H#id#n     chunk n of its body, where that is long
 *     namespace#l#H          a lease
 *
 * 1. Whose an item is, is decided by the whole shape of its name, never by its beginning alone (rows 200, 146): one namespace may be
 *    the beginning of another. No name can be read in two ways, since what follows the namespace has no choice of lengths.
 * 2. Attributes are named in expressions by `#word` only (RELIABILITY 139): some of these are words of DynamoDB's own.
 */
import type { Attribute, Item } from './dynamodb-client.ts'
import { keyHash } from './key-hash.ts'

/** Attributes whose names cannot be chosen. */
export const OUR_ATTRIBUTES = [
  'head',
  'version',
  'created',
  'expires',
  'chunks',
  'until',
  'retired',
  'owner',
  'take',
] as const

const ENTRY = /^[\w-]{43}$/
const CHUNK = /^([\w-]{43})#([0-9a-f]{16})#\d{1,9}$/

interface Names {
  readonly namespace: string
  readonly keyAttribute: string
  readonly valueAttribute: string
  readonly ttlAttribute: string
}

export class DynamoNames {
  readonly key: string
  readonly value: string
  readonly ttl: string
  /** What the names of entries begin with. */
  readonly entries: string
  /** What the names of chunks begin with. */
  readonly chunks: string
  readonly #locks: string

  constructor({ namespace, keyAttribute, valueAttribute, ttlAttribute }: Names) {
    const start = namespace === '' ? '' : `${namespace}#`
    this.key = keyAttribute
    this.value = valueAttribute
    this.ttl = ttlAttribute
    this.entries = `${start}e#`
    this.chunks = `${start}c#`
    this.#locks = `${start}l#`
  }

  entry(key: string): string {
    return this.entries + keyHash(key)
  }

  chunk(key: string, id: string, n: number): string {
    return `${this.chunks}${keyHash(key)}#${id}#${n}`
  }

  lock(name: string): string {
    return this.#locks + keyHash(name)
  }

  isEntry(name: string): boolean {
    return name.startsWith(this.entries) && ENTRY.test(name.slice(this.entries.length))
  }

  /** The entry a chunk was written for and the id of the body it is of; null where the name is no chunk's of ours. */
  chunkOf(name: string): { readonly entry: string; readonly id: string } | null {
    if (!name.startsWith(this.chunks)) return null
    const [, hashed, id] = CHUNK.exec(name.slice(this.chunks.length)) ?? []
    return hashed === undefined || id === undefined ? null : { entry: this.entries + hashed, id }
  }

  /** The key of an item. */
  keyOf(name: string): Item {
    return { [this.key]: { S: name } }
  }

  /** The name of an item. */
  nameOf(item: Item): string {
    return item[this.key]?.S ?? ''
  }

  /** `ExpressionAttributeNames` for all `#words` of these expressions. */
  in(...expressions: readonly (string | undefined)[]): { readonly ExpressionAttributeNames: Record<string, string> } {
    const names: Record<string, string> = {}
    for (const expression of expressions) {
      for (const [word, name = ''] of expression?.matchAll(/#(\w+)/g) ?? []) names[word] = this.#attribute(name)
    }
    return { ExpressionAttributeNames: names }
  }

  /** What UpdateItem takes to set and remove attributes, by their words, of the item of a name. */
  change(name: string, set: Item, remove: readonly string[], condition: string, values: Item = {}): object {
    const words = Object.keys(set)
    const parts = [words.length > 0 ? `SET ${words.map((word) => `#${word} = :${word}`).join(', ')}` : '']
    if (remove.length > 0) parts.push(`REMOVE ${remove.map((word) => `#${word}`).join(', ')}`)
    const expression = parts.join(' ').trim()
    const all: Record<string, Attribute> = { ...values }
    for (const [word, value] of Object.entries(set)) all[`:${word}`] = value
    return {
      Key: this.keyOf(name),
      UpdateExpression: expression,
      ConditionExpression: condition,
      ...this.in(expression, condition),
      ...(isEmpty(all) ? {} : { ExpressionAttributeValues: all }),
    }
  }

  #attribute(word: string): string {
    return word === 'key' ? this.key : word === 'value' ? this.value : word === 'ttl' ? this.ttl : word
  }
}

function isEmpty(values: object): boolean {
  return Object.keys(values).length === 0
}
