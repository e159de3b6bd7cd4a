/**
 * Stores by URL in a browser: package.json (`browser`) has bundlers take this file in the place of store-url.ts, whose stores are made of
 * what only Node.js has. Both export the same.
 */
import { OptionError } from '../errors.ts'
import type { Store } from '../engine/ports.ts'
import { MemoryStore } from '../stores/memory.ts'

/** Opens the store a URL names. @throws OptionError ERR_STORE_URL for all but memory */
export function openerOf(url: string): () => Promise<Store> {
  if (url.startsWith('memory:')) return async () => new MemoryStore()
  const forms = "'memory:' is the only store by URL in a bundle for browsers; any other is given as an instance"
  throw new OptionError('ERR_STORE_URL', 'store', `store: '${url}' cannot be opened here: ${forms}`)
}
