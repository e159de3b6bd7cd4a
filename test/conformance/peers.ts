/** Others to compare with: undici's cache interceptor, and fetch without any cache. */
import { Agent, cacheStores, fetch as undiciFetch, interceptors } from 'undici'
import type { StoreName } from './configuration.ts'
import type { Subject } from './subject.ts'

/** `Agent().compose(interceptors.cache({ type, store }))` under undici's own fetch. */
export function createUndiciSubject(options: { shared: boolean; store: StoreName }): Subject {
  const store = options.store === 'memory' ? new cacheStores.MemoryCacheStore() : new cacheStores.SqliteCacheStore()
  const agent = new Agent()
  const dispatcher = agent.compose(interceptors.cache({ type: options.shared ? 'shared' : 'private', store }))
  return {
    fetch: (url, init) => undiciFetch(url, { ...init, dispatcher }),
    close: () => agent.close(),
  }
}

/** The platform's fetch: what the suite says of no cache at all. */
export function createBareSubject(): Subject {
  return { fetch: (url, init) => fetch(url, init), close: () => Promise.resolve() }
}
