/**
 * A process of its own that uses a MongoStore as its argument says, and is expected to end by itself: it reads once; or, with the word
 * `again`, twice, when a line comes in between; or, with a URL, fetches that three times.
 */
import { once } from 'node:events'
import { MongoStore, type MongoOptions } from '../../src/stores/mongodb.ts'
import { fetchThrice, readOnce } from './store-process.ts'

const [options = '{}', url = ''] = process.argv.slice(2)
const store = new MongoStore(JSON.parse(options) as MongoOptions)
if (url === 'again') {
  await readOnce(store)
  await once(process.stdin, 'data')
  process.stdin.destroy()
}
await (url === '' || url === 'again' ? readOnce(store) : fetchThrice(store, url))
