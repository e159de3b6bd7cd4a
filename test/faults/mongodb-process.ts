/**
 * A process of its own that uses a MongoStore as its argument says, and is expected to end by itself: it reads once; or, with the word
 * `again`, twice, when a line comes in between; or, with a URL, fetches that three times.
 */
import { once } from 'node:events'
import { createCachedFetch } from '../../src/index.ts'
import { MongoStore, type MongoOptions } from '../../src/stores/mongodb.ts'

const [options = '{}', url = ''] = process.argv.slice(2)
const store = new MongoStore(JSON.parse(options) as MongoOptions)
const read = async (): Promise<void> => {
  const outcome = await store.read('missing').then(
    () => 'answered',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  )
  console.log(outcome)
}

if (url === '' || url === 'again') {
  await read()
  if (url === 'again') {
    await once(process.stdin, 'data')
    process.stdin.destroy()
    await read()
  }
} else {
  const fetch = createCachedFetch({ store, storeTimeout: 5 })
  const outcomes: boolean[] = []
  for (let n = 0; n < 3; n++) {
    const response = await fetch(url)
    await response.bytes()
    outcomes.push(response.fromCache)
  }
  console.log(JSON.stringify(outcomes))
}
// Neither is closed: that must not keep the process alive (RELIABILITY 161).
