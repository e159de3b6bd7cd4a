/** The library the policies are measured against; null where bench/ is not installed (`npm ci --prefix bench`). */

interface Cache<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

type Constructor = new <K, V>(options: { max: number }) => Cache<K, V>

async function load(): Promise<Constructor | null> {
  // By a variable: the types of a package that may not be there are not asked for.
  const name = 'lru-cache'
  try {
    const { LRUCache } = (await import(name)) as { LRUCache: Constructor }
    return LRUCache
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error
    process.stderr.write('lru-cache is not installed and left out: npm ci --prefix bench\n')
    return null
  }
}

export const LruCache: Constructor | null = await load()
