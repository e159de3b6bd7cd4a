/** Listing and selecting entries on the server, without their bodies; answers come in batches, and entries may change between them. */
import { StoreError } from '../errors.ts'
import type { ListedEntry, ListQuery } from '../engine/ports.ts'
import type { MongoConnection } from './mongodb-connection.ts'
import { decoded, OURS } from './mongodb-document.ts'
import type { Cursor, Document } from './mongodb-driver.ts'

const BATCH = 500
const FIELD = { created: 'createdAt', expires: 'expiresAt', size: 'size', key: 'key' } as const

/** What a query selects, as a condition. */
export function conditionOf({ expiredAt, freshAt, createdBefore }: ListQuery): Document {
  const expiry = {
    ...(expiredAt === undefined ? {} : { $lte: expiredAt }),
    ...(freshAt === undefined ? {} : { $gt: freshAt }),
  }
  return {
    ...OURS,
    ...(Object.keys(expiry).length === 0 ? {} : { expiresAt: expiry }),
    ...(createdBefore === undefined ? {} : { createdAt: { $lt: createdBefore } }),
  }
}

/** Documents by batches; each batch is asked for when it is wanted, and waited for no longer than any answer. */
export async function* batches(
  connection: MongoConnection,
  filter: Document,
  options: Document,
): AsyncGenerator<readonly Document[], void, undefined> {
  const release = connection.hold()
  let cursor: Cursor | null = null
  try {
    cursor = await connection.ask(async ({ entries }) => entries.find(filter, { batchSize: BATCH, ...options }))
    while (await hasNext(connection, cursor)) yield cursor.readBufferedDocuments()
  } finally {
    // A cursor that cannot be closed now ends with its session.
    await cursor?.close().catch(() => undefined)
    release()
  }
}

function hasNext(connection: MongoConnection, cursor: Cursor): Promise<boolean> {
  return connection.ask(() => cursor.hasNext())
}

/** The entries a query selects, in its order; a corrupt one is skipped, and does not count for its limit. */
export async function* listed(
  connection: MongoConnection,
  query: ListQuery,
): AsyncGenerator<ListedEntry, void, undefined> {
  const { order, descending = false, limit = Infinity } = query
  const field = order === undefined ? '_id' : FIELD[order]
  const options = { projection: { body: 0, chunks: 0 }, sort: { [field]: descending ? -1 : 1 }, allowDiskUse: true }
  let left = limit
  // Corrupt ones among those the server chose: the rest is asked for without a limit, and left where there are enough.
  for (const page of limit === Infinity ? [{}] : [{ limit }, { skip: limit }]) {
    for await (const documents of batches(connection, conditionOf(query), { ...options, ...page })) {
      for (const document of documents) {
        if (left <= 0) return
        const entry = soundEntry(document)
        if (entry === null) continue
        left--
        yield entry
      }
    }
    if (left <= 0) return
  }
}

function soundEntry(document: Document): ListedEntry | null {
  try {
    const { body: _, ...entry } = decoded(document)
    return entry
  } catch (error) {
    // Listings skip what is corrupt; reading it reports it.
    if (error instanceof StoreError) return null
    throw error
  }
}
