/** A process of its own that uses a RedisStore as its argument says, and is expected to end by itself. */
import { createCachedFetch } from '../../src/index.ts'
import { RedisStore, type RedisOptions } from '../../src/stores/redis.ts'

const [options = '{}', url = ''] = process.argv.slice(2)
const store = new RedisStore(JSON.parse(options) as RedisOptions)
if (url === '') {
  // Nothing but the store keeps the process alive until it has answered.
  console.log(
    await store.read('missing').then(
      () => 'answered',
      (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
    ),
  )
} else {
  const fetch = createCachedFetch({ store })
  const outcomes: boolean[] = []
  for (let n = 0; n < 3; n++) {
    const response = await fetch(url)
    await response.bytes()
    outcomes.push(response.fromCache)
  }
  console.log(JSON.stringify(outcomes))
}
// Neither is closed: that must not keep the process alive (RELIABILITY 161).
