/** Fills stores with many entries, fast: everything in one transaction, no network. */
import { createCachedFetch, type EntryHead, type Store } from 'keepfresh'
import { SqliteStore } from 'keepfresh/sqlite'
import { cacheStores } from 'undici'
import { bodyFor } from './bodies.ts'
import { openRawTable, sampleMeta } from './raw-table.ts'

/** All entries have this body: 1 KB of text. */
export const BODY: Buffer = bodyFor('text', 1024)
const SLICE = 10_000
/** Writes under way at a time, where each is a request of its own. */
const WRITERS = 64
const HOUR = 3_600_000

/** Any URL of the same form at every number of entries, so that keys are equally long. */
export function urlOfEntry(i: number): string {
  return `http://127.0.0.1:9/entries/text/${String(i).padStart(8, '0')}?page=1`
}

/** `expiresAt` of the i-th entry, ms. */
export type Expiry = (i: number) => number

export const inAnHour: Expiry = () => Date.now() + HOUR

export function fillRaw(file: string, entries: number, expiry: Expiry = inAnHour): void {
  const table = openRawTable(file)
  table.db.exec('BEGIN')
  for (let i = 0; i < entries; i++) table.put(urlOfEntry(i), sampleMeta(urlOfEntry(i)), BODY, expiry(i))
  table.db.exec('COMMIT')
  table.close()
}

/** The entries are made by the client itself, from responses of a fetch that asks nobody; only the writing is in bulk. */
export async function fillKeepfresh(file: string, entries: number, expiry: Expiry = inAnHour): Promise<void> {
  const store = new SqliteStore(file)
  await fillStore(store, entries, expiry)
  store.close()
}

/** Any store: in bulk where it can, else many writes at a time. */
export async function fillStore(store: Store, entries: number, expiry: Expiry = inAnHour): Promise<void> {
  for await (const heads of headsOf(store, entries, expiry)) {
    if (store instanceof SqliteStore) {
      await store.bulk((batch) => heads.forEach((head) => batch.write(head, BODY)))
      continue
    }
    const left = heads.values()
    const writer = async (): Promise<void> => {
      for (const head of left) await store.write(head, BODY)
    }
    await Promise.all(Array.from({ length: WRITERS }, writer))
  }
}

/** What a client would write beside the bodies, in slices. */
async function* headsOf(store: Store, entries: number, expiry: Expiry): AsyncGenerator<readonly EntryHead[]> {
  let written: EntryHead[] = []
  const collecting: Store = {
    name: 'collecting',
    limits: { ...store.limits, shared: false },
    read: () => undefined,
    write: (head) => void written.push(head),
    update: () => false,
    delete: () => 0,
    close: () => {},
  }
  const fetch = createCachedFetch({ store: collecting, fetch: async () => answer() })
  for (let i = 0; i < entries; i += SLICE) {
    for (let j = i; j < Math.min(i + SLICE, entries); j++) await (await fetch(urlOfEntry(j))).arrayBuffer()
    if (written.length !== Math.min(SLICE, entries - i))
      throw new Error(`${written.length} of ${SLICE} entries were written`)
    yield written.map((head, n) => ({ ...head, expiresAt: expiry(i + n) }))
    written = []
  }
  await fetch.close()
}

function answer(): Response {
  const headers = {
    'cache-control': 'max-age=3600',
    'content-length': String(BODY.byteLength),
    'content-type': 'text/plain; charset=utf-8',
    date: new Date().toUTCString(),
    etag: '"text-1024"',
  }
  return new Response(new Uint8Array(BODY), { headers })
}

/** undici's store has no bulk and no transaction: entry by entry, as its interceptor writes. */
export function fillUndici(location: string, entries: number): void {
  const store = new cacheStores.SqliteCacheStore({ location })
  const now = Date.now()
  const headers = { 'cache-control': 'max-age=3600', 'content-type': 'text/plain; charset=utf-8', etag: '"text-1024"' }
  for (let i = 0; i < entries; i++) {
    const { origin, pathname, search } = new URL(urlOfEntry(i))
    const value = {
      statusCode: 200,
      statusMessage: 'OK',
      headers,
      cacheControlDirectives: { 'max-age': 3600 },
      cachedAt: now,
      staleAt: now + HOUR,
      deleteAt: now + 2 * HOUR,
    }
    store.createWriteStream({ origin, method: 'GET', path: pathname + search, headers: {} }, value)?.end(BODY)
  }
  store.close()
}
