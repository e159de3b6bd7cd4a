/** keepfresh as a contender, on any store. */
import { createCachedFetch, isListable, type Store } from 'keepfresh'
import { isServer } from './services.ts'
import type { Client, StoreKind } from './types.ts'
import { clientOf } from './web.ts'

/** `storeTimeout` is long for servers: a contender that gave its store up after 250 ms would race without it. */
export function keepfreshClient(kind: StoreKind, store: Store, more: { singleFlight?: 'store' } = {}): Client {
  const fetch = createCachedFetch(isServer(kind) ? { ...more, store, storeTimeout: 30 } : { ...more, store })
  const client = clientOf(fetch, async () => {
    await fetch.close()
    await store.close()
  })
  const stored = async (url: string): Promise<unknown> => {
    const entry = await store.read(`GET ${url}`)
    if (entry === undefined) throw new Error('the store has no such entry')
    return entry
  }
  const clear = async (): Promise<void> => {
    if (isListable(store)) await store.clear()
  }
  if (!isServer(kind) && kind !== 'file') return client
  return isServer(kind) ? { ...client, stored, clear } : { ...client, stored }
}
