/**
 * One of several processes that want the same thing at the same time: `node flight-process.ts STORE_URL URL COUNT LEASE`.
 * Says READY, waits for a line on its standard input, then makes COUNT identical requests, and prints how many bodies were right.
 */
import { once } from 'node:events'
import { createCachedFetch } from '../../src/index.ts'

const [store = '', url = '', count = '1', lease = '10'] = process.argv.slice(2)
const cached = createCachedFetch({ store, singleFlight: 'store', lockLease: Number(lease), storeTimeout: 5 })
// Opens the store: connecting is not what is tested.
await cached.cache.has('http://opening.test/')
process.stdout.write('READY\n')
await once(process.stdin, 'data')
const texts = await Promise.all(Array.from({ length: Number(count) }, async () => (await cached(url)).text()))
const [first] = texts
process.stdout.write(`DONE ${texts.filter((text) => text === first && text !== '').length}\n`)
await cached.close()
process.exit(0)
