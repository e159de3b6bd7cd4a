/** A process of its own that uses a RedisStore as its argument says, and is expected to end by itself. */
import { RedisStore, type RedisOptions } from '../../src/stores/redis.ts'
import { fetchThrice, readOnce } from './store-process.ts'

const [options = '{}', url = ''] = process.argv.slice(2)
const store = new RedisStore(JSON.parse(options) as RedisOptions)
await (url === '' ? readOnce(store) : fetchThrice(store, url))
