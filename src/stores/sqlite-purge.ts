/** Deleting what a query selects, in slices that leave the event loop free. */
import type { ListQuery } from '../engine/ports.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { inSlices } from './sqlite-slices.ts'

/** Rows in the first slice; how many in the next ones is seen from how long it takes. */
const FIRST = 16

/** How many were deleted. @throws StoreError */
export async function purge(
  access: SqliteAccess,
  { expiredAt, createdBefore }: Pick<ListQuery, 'expiredAt' | 'createdBefore'>,
): Promise<number> {
  return expiredAt !== undefined && createdBefore === undefined
    ? purgeExpired(access, expiredAt)
    : purgeAll(access, expiredAt ?? Infinity, createdBefore ?? Infinity)
}

/** By the index over expiry. */
async function purgeExpired(access: SqliteAccess, expiredAt: number): Promise<number> {
  let count = 0
  await inSlices((n) => {
    const changes = access.run(({ deleteExpired }) => Number(deleteExpired.run(expiredAt, n).changes))
    count += changes
    return changes === n
  }, FIRST)
  return count
}

/** By windows of ids, up to the newest entry there is now. */
async function purgeAll(access: SqliteAccess, expiredAt: number, createdBefore: number): Promise<number> {
  const last = access.run(({ newest }) => Number(newest.get()?.[0] ?? 0))
  let count = 0
  let from = 0
  await inSlices((n) => {
    const end = access.run(({ windowEnd }) => windowEnd.get(from, last, n)?.[0])
    if (typeof end !== 'number') return false
    count += access.run(({ deleteWindow }) => Number(deleteWindow.run(from, end, expiredAt, createdBefore).changes))
    from = end
    return true
  }, FIRST)
  return count
}
