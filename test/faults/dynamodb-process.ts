/** A process of its own that uses a DynamoStore as its argument says, and is expected to end by itself. */
import { createCachedFetch } from '../../src/index.ts'
import { DynamoStore, type DynamoOptions } from '../../src/stores/dynamodb.ts'

const [options = '{}', url = ''] = process.argv.slice(2)
const store = new DynamoStore(JSON.parse(options) as DynamoOptions)
if (url === '') {
  console.log(
    await store.read('missing').then(
      () => 'answered',
      (error: unknown) => (error instanceof Error && 'code' in error ? `${error.code}: ${error.message}` : error),
    ),
  )
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
