/** A process of its own that uses a DynamoStore as its argument says, and is expected to end by itself. */
import { DynamoStore, type DynamoOptions } from '../../src/stores/dynamodb.ts'
import { fetchThrice, readOnce } from './store-process.ts'

const [options = '{}', url = ''] = process.argv.slice(2)
const store = new DynamoStore(JSON.parse(options) as DynamoOptions)
await (url === '' ? readOnce(store) : fetchThrice(store, url))
