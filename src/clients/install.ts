/** A cached fetch in the place of the global one (row 16): the last installed is the one in force, and each can be taken away. */
import { realFetch } from './client.ts'
import type { CachedRequestInit, FetchInput } from './incoming.ts'
import type { CachedResponse } from './response.ts'

type AnyFetch = (input: FetchInput, init?: CachedRequestInit) => Promise<CachedResponse>

const installed: AnyFetch[] = []

/** Installs it; the returned function takes it away and brings back what was there before. */
export function installFetch(fetch: AnyFetch): () => void {
  if (installed.length === 0) realFetch.current = globalThis.fetch
  installed.push(fetch)
  globalThis.fetch = fetch as typeof globalThis.fetch
  return () => {
    const at = installed.indexOf(fetch)
    if (at < 0) return
    installed.splice(at, 1)
    const real = realFetch.current
    globalThis.fetch = (installed.at(-1) as typeof globalThis.fetch | undefined) ?? real ?? globalThis.fetch
    if (installed.length === 0) realFetch.current = null
  }
}
