/** Floor of a hit in DynamoDB: the SDK's own GetItem, strongly consistent as the store's is. */
import { dynamoOptions, namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'floor: GetItem',
  package: null,
  stores: ['dynamodb'],
  async setup(_origin, { dir, server }) {
    const { CreateTableCommand, DeleteTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } =
      await import('@aws-sdk/client-dynamodb')
    const client = new DynamoDBClient(dynamoOptions(server))
    const TableName = `${namespaceOf(dir)}-raw`
    await client.send(
      new CreateTableCommand({
        TableName,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'key', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'key', KeyType: 'HASH' }],
      }),
    )
    return rawClient({
      get: async (key) =>
        (await client.send(new GetItemCommand({ TableName, Key: { key: { S: key } }, ConsistentRead: true }))).Item?.[
          'value'
        ]?.B,
      set: (key, value) =>
        client.send(new PutItemCommand({ TableName, Item: { key: { S: key }, value: { B: value } } })),
      clear: async () => void (await client.send(new DeleteTableCommand({ TableName }))),
      close: async () => client.destroy(),
    })
  },
}
