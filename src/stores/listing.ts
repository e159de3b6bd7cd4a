/**
 * What a query asks of a listing.
 *
 * Unordered listings stream; ordered ones hold all entries they select in memory.
 */
import type { EntryHead, ListedEntry, ListQuery } from '../engine/ports.ts'

export type Selection = Pick<ListQuery, 'expiredAt' | 'freshAt' | 'createdBefore'>

/** Whether a listing asks for this entry. */
export function selects(
  { expiredAt, freshAt, createdBefore }: Selection,
  head: Pick<EntryHead, 'createdAt' | 'expiresAt'>,
): boolean {
  return (
    (expiredAt === undefined || head.expiresAt <= expiredAt) &&
    (freshAt === undefined || head.expiresAt > freshAt) &&
    (createdBefore === undefined || head.createdAt < createdBefore)
  )
}

/** What a listing is ordered by. */
export const FIELD = { created: 'createdAt', expires: 'expiresAt', size: 'size', key: 'key' } as const

/** The entries of a listing in the order and number a query asks for, from all that it selects. */
export async function* arranged(entries: AsyncIterable<ListedEntry>, query: ListQuery): AsyncGenerator<ListedEntry> {
  const { order, limit = Infinity } = query
  if (order === undefined) {
    let left = limit
    if (left > 0)
      for await (const entry of entries) {
        yield entry
        if (--left <= 0) return
      }
    return
  }
  const all: ListedEntry[] = []
  for await (const entry of entries) all.push(entry)
  yield* ordered(all, query)
}

/** Entries in the order and number a query asks for. Sorts what it is given. */
export function ordered(all: ListedEntry[], query: ListQuery): ListedEntry[] {
  const { order = 'created', descending = false, limit = Infinity } = query
  const field = FIELD[order]
  all.sort((a, b) => (a[field] < b[field] ? -1 : a[field] > b[field] ? 1 : 0))
  if (descending) all.reverse()
  return all.slice(0, limit)
}
