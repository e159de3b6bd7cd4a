/** What a store that is made of others has of them. */
import type { ListableStore, LockingStore } from '../engine/ports.ts'

/** What a store adds that can list. */
export type Listing = Pick<ListableStore, 'keys' | 'entries' | 'size' | 'clear' | 'deleteWhere'>

/** Leases that another store holds: that of the lock's name, under a name it may know it by. */
export function locksOf(
  storeOf: (name: string) => LockingStore,
  nameOf: (name: string) => string = (name) => name,
): Pick<LockingStore, 'lock' | 'renew' | 'unlock'> {
  return {
    lock: (name, owner, lease) => storeOf(name).lock(nameOf(name), owner, lease),
    renew: (name, owner, lease) => storeOf(name).renew(nameOf(name), owner, lease),
    unlock: (name, owner) => storeOf(name).unlock(nameOf(name), owner),
  }
}
