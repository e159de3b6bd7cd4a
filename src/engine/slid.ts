/** Sliding expiration performed (policy/sliding.ts, row 88): one change of metadata in the background, never of the body. */
import type { ResponseMeta } from '../policy/decision.ts'
import { slide } from '../policy/sliding.ts'
import type { Exchange } from './exchange.ts'
import { entryHead } from './keeper.ts'
import { prolong } from './indexes.ts'
import { isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import type { Pending } from './pending.ts'
import type { StoredEntry } from './ports.ts'
import type { ResponseEntry } from './reply.ts'
import type { StoreGuard } from './store-guard.ts'

/** The entry of a hit with its lifetime begun anew, where hits do that; the answer does not wait for the store. */
export function slid(
  guard: StoreGuard,
  pending: Pending,
  { effective }: Exchange,
  entry: ResponseEntry,
  primary: StoredEntry | undefined,
): ResponseEntry {
  const terms = effective.readOnly ? null : slide(entry.meta, guard.clock.now(), effective.policy)
  if (terms === null) return entry
  const meta = trust<ResponseMeta>({ ...entry.meta, terms })
  const { expiresAt, keepUntil } = entryHead(meta)
  const updated = guard.update(entry.key, { meta, expiresAt, keepUntil }, entry.version)
  if (isPromise(updated)) pending.add(updated)
  const prolonged = prolong(guard, primary, { expiresAt, keepUntil })
  if (isPromise(prolonged)) pending.add(prolonged)
  return { ...entry, meta, expiresAt, keepUntil }
}
