/** DynamoStore keeps the store contract, with a client of its own and with one that was given, and however small its chunks (B6, B11). */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { afterAll, describe, test } from 'vitest'
import { storeConformance } from '../../src/testing/index.ts'
import type { DynamoOptions } from '../../src/stores/dynamodb.ts'
import { describeWithService } from '../services/registry.ts'
import { clientConfig, TableStore } from './dynamodb-support.ts'

describeWithService('dynamodb', ({ url }) => {
  const client = new DynamoDBClient(clientConfig(url))
  afterAll(() => client.destroy())
  const ways: readonly (readonly [name: string, options: DynamoOptions])[] = [
    ['a client of ours', {}],
    ['an existing client, many small chunks', { client, inlineSize: 1000, chunkSize: 65_536 }],
    [
      'a namespace, other attributes, no TTL, eventually consistent reads',
      { namespace: 'shop', keyAttribute: 'id', valueAttribute: 'data', ttl: false, consistentRead: false },
    ],
  ]
  for (const [name, options] of ways) {
    storeConformance({ name, make: () => new TableStore(url, options), describe, test })
  }
})
