/** Deleting what is stored under URLs that a test selects, in slices, whoever asked for it; the indexes of variants go along. */
import { isListable, type ListedEntry } from '../engine/ports.ts'
import type { Engine } from '../engine/engine.ts'

const SLICE = 200

/** How many entries went; none where the store cannot list. What is under way is the caller's to fence. */
export async function deleteMatching(engine: Engine, matches: (url: string) => boolean): Promise<number> {
  const { store } = engine
  if (!isListable(store)) return 0
  let keys: string[] = []
  let deleted = 0
  for await (const entry of store.entries()) {
    const url = urlOf(entry)
    if (url !== null && matches(url)) keys.push(entry.key)
    if (keys.length < SLICE) continue
    deleted += await engine.invalidations.drop(keys)
    keys = []
  }
  return deleted + (await engine.invalidations.drop(keys))
}

function urlOf({ meta }: ListedEntry): string | null {
  return meta.kind === 'response' ? meta.url : null
}
