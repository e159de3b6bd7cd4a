/** What the parts of the conformance kit share: bytes to store, and how to compare what came back. */
import type { Store, StoredEntry } from '../engine/ports.ts'

/** How a part of the kit declares a test; it is given a new, empty store. */
export type It = (title: string, body: (store: Store) => Promise<void>) => void

export function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: expected ${b}, got ${a}`)
}

export function ok(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

/** Deterministic bytes, different for each seed. */
export function bytesOf(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  let state = seed
  for (let at = 0; at < size; at++) bytes[at] = state = (state * 75 + 74) % 65_537
  return bytes
}

export function streamed(bytes: Uint8Array, chunk: number, failAt: number = Infinity): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= failAt) throw new Error('the origin broke off')
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + chunk))
      at += chunk
    },
  })
}

export async function bodyOf(entry: StoredEntry, start = 0, end: number = entry.body.size): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of entry.body.open(start, end)) chunks.push(chunk)
  const whole = new Uint8Array(chunks.reduce((size, { length }) => size + length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

/** Does it for every item, a few at a time. */
export async function sideBySide<T>(items: readonly T[], act: (item: T, index: number) => unknown): Promise<void> {
  const WIDTH = 50
  for (let at = 0; at < items.length; at += WIDTH) {
    await Promise.all(items.slice(at, at + WIDTH).map((item, n) => act(item, at + n)))
  }
}

export async function mustRead(store: Store, key: string): Promise<StoredEntry> {
  const entry = await store.read(key)
  if (entry === undefined) throw new Error(`nothing is stored under ${key}`)
  return entry
}

/** Keys that a store may stumble over. */
export const KEYS: readonly string[] = [
  'plain',
  'GET http://h.test/?a=1&b=2',
  'k'.repeat(5000),
  '\u2603 \u{1f600}',
  'nul\0byte',
  // Lone surrogates: UTF-8 has no bytes for them, and nothing in their place must make two keys one.
  'a\ud800',
  'a\ud801',
  'a\ufffd',
  'glob*?[a-z]%_',
  '__proto__',
  'line\nbreak',
  'quote\'"\\',
]
