/** Deleting what a query selects, in slices that leave the event loop free. */
import { NEVER, type ListQuery } from '../engine/ports.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { inSlices } from './sqlite-slices.ts'

/** Rows in the first slice; how many in the next ones is seen from how long it takes. */
const FIRST = 16

/** Bytes that the deletion of a row adds to the log: pages of the table and of its indexes, some of them shared with other rows. */
const ROW = 4 * 1024

/** How many were deleted. @throws StoreError */
export async function purge(
  access: SqliteAccess,
  { expiredAt = Infinity, createdBefore = Infinity }: Pick<ListQuery, 'expiredAt' | 'createdBefore'>,
): Promise<number> {
  return expiredAt < NEVER && createdBefore >= NEVER
    ? purgeExpired(access, expiredAt, createdBefore)
    : purgeAll(access, expiredAt, createdBefore)
}

/** By the index over expiry. What has no time of creation may be left: little enough for each slice to pass over. */
async function purgeExpired(access: SqliteAccess, expiredAt: number, createdBefore: number): Promise<number> {
  let count = 0
  await inSlices(
    (n) => {
      const changes = access.run(({ deleteExpired }) => Number(deleteExpired.run(expiredAt, createdBefore, n).changes))
      count += changes
      access.grew(changes * ROW)
      return changes === n
    },
    FIRST,
    () => access.caughtUp(),
  )
  return count
}

/** By windows of ids, up to the newest entry there is now. */
async function purgeAll(access: SqliteAccess, expiredAt: number, createdBefore: number): Promise<number> {
  const last = access.run(({ newest }) => Number(newest.get()?.[0] ?? 0))
  let count = 0
  let from = 0
  await inSlices(
    (n) => {
      const end = access.run(({ windowEnd }) => windowEnd.get(from, last, n)?.[0])
      if (typeof end !== 'number') return false
      const changes = access.run(({ deleteWindow }) =>
        Number(deleteWindow.run(from, end, expiredAt, createdBefore).changes),
      )
      count += changes
      access.grew(changes * ROW)
      from = end
      return true
    },
    FIRST,
    () => access.caughtUp(),
  )
  return count
}
