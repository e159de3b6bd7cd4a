/** Stores by URL (feature S3): one line a backend; each is loaded when it is named. */
import { OptionError } from '../errors.ts'
import type { Store } from '../engine/ports.ts'
import { MemoryStore } from '../stores/memory.ts'

type Opener = (rest: string) => Promise<Store>

const OPENERS: Readonly<Record<string, Opener>> = {
  memory: async () => new MemoryStore(),
  sqlite: async (path) => {
    const { SqliteStore } = await import('../stores/sqlite.ts')
    return new SqliteStore(path.replace(/^\/\/(?=[^/])/, ''))
  },
}

const FORMS = "'memory:' or 'sqlite:path/to/file.db'"

/** Opens the store a URL names; wrong ones are refused at once, before anything is loaded. */
export function openStore(url: string): Promise<Store> {
  return openerOf(url)()
}

export function openerOf(url: string): () => Promise<Store> {
  const colon = url.indexOf(':')
  const scheme = url.slice(0, Math.max(0, colon))
  const opener = Object.hasOwn(OPENERS, scheme) ? OPENERS[scheme] : undefined
  const rest = url.slice(colon + 1)
  if (opener === undefined || (scheme === 'sqlite' && rest === '')) {
    throw new OptionError('ERR_STORE_URL', 'store', `store: '${url}' is not a store URL; give ${FORMS}`)
  }
  return () => opener(rest)
}
