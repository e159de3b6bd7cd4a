/** Deletes keys by a plain RedisStore, in a process of its own: `namespace keys-as-JSON url...`. */
import { RedisStore } from '../../src/stores/redis.ts'

const [namespace = '', keys = '[]', ...urls] = process.argv.slice(2)
const at = urls.length === 1 ? { url: urls[0] ?? '' } : { cluster: { rootNodes: urls } }
const store = new RedisStore({ ...at, namespace })
const deleted = await store.delete(JSON.parse(keys) as string[])
await store.close()
process.exitCode = deleted === (JSON.parse(keys) as string[]).length ? 0 : 1
