/** The table: what it must look like, and making it where it may be made. A table that looks otherwise is left as it is. */
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { Operation, Reply, TableDescription } from './dynamodb-client.ts'
import { causeNamed, isMissingTable } from './dynamodb-errors.ts'
import type { DynamoSettings } from './dynamodb-options.ts'

type SendToTable = (operation: Operation, input: object) => Promise<Reply>

/** Milliseconds between two looks at a table that is being made: the first, then twice as long each time, up to the longest. */
const FIRST_LOOK = 25
const LONGEST_LOOK = 1000
/** Milliseconds a table may take to become active. */
const PATIENCE = 120_000

/**
 * Resolves when the table is there, of the right shape, and active; made now where it is missing and may be.
 * @throws StoreError ERR_STORE_OPEN where it is missing, ERR_STORE_FORMAT where it has other keys, ERR_STORE_TIMEOUT
 */
export async function readyTable(send: SendToTable, settings: DynamoSettings): Promise<void> {
  let table = await describe(send, settings)
  const isOurs = table === null && (await create(send, settings))
  for (let waited = 0, look = FIRST_LOOK; !isActive(table); look = Math.min(look * 2, LONGEST_LOOK)) {
    if (waited > PATIENCE) {
      const message = `DynamoDB table '${settings.table}' is still ${table?.TableStatus ?? 'missing'} after ${PATIENCE} ms.`
      throw new StoreError('ERR_STORE_TIMEOUT', message)
    }
    await sleep(look)
    waited += look
    table = await describe(send, settings)
  }
  checkKeys(table ?? {}, settings)
  if (isOurs && settings.ttl) await enableTtl(send, settings.ttlAttribute)
}

/** Null: missing, and we may make it; or made a moment ago, and not everywhere yet. */
async function describe(send: SendToTable, { createIfNotExists }: DynamoSettings): Promise<TableDescription | null> {
  try {
    return (await send('DescribeTable', {})).Table ?? {}
  } catch (error) {
    if (!createIfNotExists || !isMissingTable(error)) throw error
    return null
  }
}

function isActive(table: TableDescription | null): boolean {
  return table?.TableStatus === 'ACTIVE' || table?.TableStatus === 'UPDATING'
}

/** Whether it was us who made it. */
async function create(send: SendToTable, { keyAttribute }: DynamoSettings): Promise<boolean> {
  try {
    await send('CreateTable', {
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: keyAttribute, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: keyAttribute, KeyType: 'HASH' }],
    })
    return true
  } catch (error) {
    if (error instanceof StoreError && causeNamed(error, 'ResourceInUseException')) return false
    throw error
  }
}

function checkKeys({ KeySchema = [], AttributeDefinitions = [] }: TableDescription, settings: DynamoSettings): void {
  const { table, keyAttribute } = settings
  const keys = KeySchema.map(({ AttributeName: name = '', KeyType: kind = '' }) => {
    const type = AttributeDefinitions.find((each) => each.AttributeName === name)?.AttributeType ?? '?'
    return `${name} (${kind}, ${type})`
  })
  const expected = `${keyAttribute} (HASH, S)`
  if (keys.length === 1 && keys[0] === expected) return
  const message =
    `DynamoDB table '${table}' has the keys ${keys.join(', ')}; the store needs ${expected} alone. ` +
    'Set `keyAttribute`, or give it another table.'
  throw new StoreError('ERR_STORE_FORMAT', message)
}

async function enableTtl(send: SendToTable, attribute: string): Promise<void> {
  await send('UpdateTimeToLive', { TimeToLiveSpecification: { AttributeName: attribute, Enabled: true } })
}
