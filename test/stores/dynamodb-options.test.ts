/** What DynamoStore takes, and what it says about what it does not. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { DynamoStore, dynamoStoreFromUrl, type DynamoOptions } from '../../src/stores/dynamodb.ts'
import { optionsOfUrl } from '../../src/stores/dynamodb-options.ts'

const client = { send: async () => ({}) }

describe('options', () => {
  it.each<[string, unknown, string]>([
    ['an unknown name, and the nearest', { keyAtribute: 'k' }, 'Did you mean `keyAttribute`?'],
    ['a table of two letters', 'ab', '3 to 255 letters'],
    ['a table with a slash', { table: 'a/b/c' }, '3 to 255 letters'],
    ['a key attribute of no name', { keyAttribute: '' }, '1 to 255 bytes'],
    ['one name for two attributes', { valueAttribute: 'key' }, "'key' is the `keyAttribute`"],
    ['an attribute that is ours', { keyAttribute: 'version' }, "'version' is an attribute of the store itself"],
    ['a namespace that is no text', { namespace: '\ud800' }, 'must be a text'],
    ['a namespace longer than a key may be', { namespace: 'n'.repeat(1025) }, 'at most 1024 bytes'],
    ['something that is no client', { client: {} }, 'a DynamoDBClient'],
    ['options beside a client', { client, clientOptions: {} }, '`clientOptions`: it has no use'],
    ['attempts beside a client', { client, maxAttempts: 3 }, '`maxAttempts`: it has no use'],
    ['no attempts', { maxAttempts: 0 }, 'a whole number from 1'],
    ['B45: a chunk that no item has room for', { chunkSize: 400_000_000 }, 'a whole number from 64 to 405504'],
    ['B45: a body that no item has room for', { inlineSize: 409_600 }, 'a whole number from 0 to 405504'],
  ])('refuses %s', (_, options, message) => {
    expect(() => new DynamoStore(options as DynamoOptions)).toThrow(message)
  })

  it('takes a name, an ARN, and nothing; and makes no connection', async () => {
    const arn = 'arn:aws:dynamodb:eu-central-1:123456789012:table/http_cache'
    for (const options of ['my.table-1', arn, {}, { table: arn, client }]) await new DynamoStore(options).close()
  })
})

describe('S3: a store by URL', () => {
  it.each<[string, object]>([
    ['dynamodb:cache', { table: 'cache', namespace: '', createIfNotExists: false, clientOptions: {} }],
    [
      'dynamodb://cache?region=eu-central-1&profile=work&namespace=a%23b&createIfNotExists=true',
      {
        table: 'cache',
        namespace: 'a#b',
        createIfNotExists: true,
        clientOptions: { region: 'eu-central-1', profile: 'work' },
      },
    ],
    [
      'dynamodb:cache?endpoint=https://dynamodb.example.test&region=r',
      { table: 'cache', clientOptions: { endpoint: 'https://dynamodb.example.test', region: 'r' } },
    ],
  ])('%s', (url, options) => {
    expect(optionsOfUrl(url)).toMatchObject(options)
  })

  it('DynamoDB Local needs neither region nor credentials', () => {
    onTestFinished(() => void vi.unstubAllEnvs())
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_PROFILE', 'AWS_REGION']) vi.stubEnv(name, '')
    expect(optionsOfUrl('dynamodb:cache?endpoint=http://localhost:8000').clientOptions).toEqual({
      endpoint: 'http://localhost:8000',
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    })
    expect(optionsOfUrl('dynamodb:cache?endpoint=http://localhost.example.test').clientOptions).toEqual({
      endpoint: 'http://localhost.example.test',
    })
  })

  it.each<[string, string]>([
    ['dynamodb:', 'give dynamodb:table?region='],
    ['redis://cache', 'give dynamodb:table?region='],
    ['dynamodb:cache?regoin=x', 'did you mean `region`'],
    ['dynamodb:cache?createIfNotExists=yes', 'is true or false'],
    ['dynamodb:a%20b%20c', '3 to 255 letters'],
    ['dynamodb:%E0%A4', 'give dynamodb:table?region='],
  ])('refuses %s', (url, message) => {
    expect(() => dynamoStoreFromUrl(url)).toThrow(message)
  })
})
