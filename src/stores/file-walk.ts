/**
 * Going through the directory, a folder at a time: what belongs to which entry, by names alone, and listings by the lines of entry
 * files. Nothing is held but the names in one folder, and for ordered listings a line per entry.
 */
import { StoreError } from '../errors.ts'
import type { ListedEntry, ListQuery } from '../engine/ports.ts'
import { groupsOf } from './groups-of.ts'
import { FIELD, selects } from './listing.ts'
import type { EntryFile } from './file-entry.ts'
import type { Layout } from './file-layout.ts'
import type { EntryReader } from './file-reader.ts'
import type { Files } from './file-system.ts'

/** How many files are looked at side by side. */
const WIDTH = 16
const PAGE = 64

/** The files of one key. */
export interface Group {
  readonly digest: string
  /** Whether there is an entry file. */
  entry: boolean
  /** Ids of bodies, and of files being written. */
  readonly bodies: string[]
  readonly temps: string[]
}

/** All files of ours, grouped by key, a folder at a time. Links and foreign names are passed over. */
export async function* groups(files: Files, layout: Layout): AsyncGenerator<Group[], void, undefined> {
  for (const folder of await files.list(layout.entries)) {
    if (!folder.isDirectory() || !/^[0-9a-f]{2}$/.test(folder.name)) continue
    const found = new Map<string, Group>()
    for (const file of await files.list(layout.folder(folder.name))) {
      const own = layout.parse(folder.name, file.name)
      if (own === null || file.isDirectory()) continue
      const group = found.get(own.digest) ?? { digest: own.digest, entry: false, bodies: [], temps: [] }
      found.set(own.digest, group)
      if (own.kind === 'entry') group.entry = true
      else (own.kind === 'body' ? group.bodies : group.temps).push(own.id)
    }
    if (found.size > 0) yield [...found.values()]
  }
}

/** The digests of all entries, a folder at a time. */
export async function* digests(files: Files, layout: Layout): AsyncGenerator<string[], void, undefined> {
  for await (const folder of groups(files, layout)) {
    yield folder.filter(({ entry }) => entry).map(({ digest }) => digest)
  }
}

/** Runs `action` for every item, a few side by side. */
export async function inParallel<T>(items: Iterable<T>, action: (item: T) => Promise<void>): Promise<void> {
  const shared = items[Symbol.iterator]()
  const work = async (): Promise<void> => {
    for (let next = shared.next(); next.done !== true; next = shared.next()) await action(next.value)
  }
  await Promise.all(Array.from({ length: WIDTH }, work))
}

/** Reads the lines of entries; what is gone or damaged is left out. */
export class Lister {
  readonly #files: Files
  readonly #layout: Layout
  readonly #reader: EntryReader

  constructor(files: Files, layout: Layout, reader: EntryReader) {
    this.#files = files
    this.#layout = layout
    this.#reader = reader
  }

  /** Entries in the order asked for; without one, as they come. */
  async *entries(query: ListQuery): AsyncGenerator<ListedEntry, void, undefined> {
    const { order, limit = Infinity } = query
    let left = limit
    const all = order === undefined ? digests(this.#files, this.#layout) : this.#sorted(query, order)
    for await (const some of all) {
      for (const page of groupsOf(some, PAGE)) {
        if (left <= 0) return
        for (const { head, version, size } of await this.#read(page, query)) {
          if (left <= 0) return
          left -= 1
          yield { ...head, version, size }
        }
      }
    }
  }

  async *#sorted(query: ListQuery, order: keyof typeof FIELD): AsyncGenerator<string[], void, undefined> {
    const field = FIELD[order]
    const found: { readonly value: string | number; readonly digest: string }[] = []
    for await (const some of digests(this.#files, this.#layout)) {
      await inParallel(some, async (digest) => {
        const entry = await this.#one(digest)
        if (entry !== null && selects(query, entry.head))
          found.push({ value: { ...entry.head, size: entry.size }[field], digest })
      })
    }
    found.sort((a, b) => compare(a.value, b.value) || compare(a.digest, b.digest))
    if (query.descending === true) found.reverse()
    yield found.map(({ digest }) => digest)
  }

  async #read(some: readonly string[], query: ListQuery): Promise<EntryFile[]> {
    const found: (EntryFile | null)[] = Array.from({ length: some.length }, () => null)
    await inParallel(some.entries(), async ([index, digest]) => {
      found[index] = await this.#one(digest)
    })
    return found.filter((entry) => entry !== null).filter((entry) => selects(query, entry.head))
  }

  /** Listings skip what cannot be read as an entry; reading it reports it. */
  async #one(digest: string): Promise<EntryFile | null> {
    return (await this.#reader.lines(this.#layout.entry(digest)).catch(unreadable)) ?? null
  }
}

/** Damaged entries are no entries; other failures are failures. */
export function unreadable(error: unknown): undefined {
  if (error instanceof StoreError && /CORRUPT|FORMAT/.test(error.code)) return undefined
  throw error
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
