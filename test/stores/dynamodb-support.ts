/** What the suites of DynamoStore share: a table of the test file's own, and stores in it that see nobody else. */
import { randomUUID } from 'node:crypto'
import {
  DeleteTableCommand,
  DynamoDBClient,
  ScanCommand,
  type AttributeValue,
  type DynamoDBClientConfig,
} from '@aws-sdk/client-dynamodb'
import { onTestFinished } from 'vitest'
import type { Clock } from '../../src/engine/ports.ts'
import { DynamoStore, type DynamoOptions } from '../../src/stores/dynamodb.ts'

/** What DynamoDB Local asks for, and does not look at. */
export const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local' }

/** A table that no other test has. */
function randomTable(): string {
  return `keepfresh-test-${randomUUID()}`
}

export function clientConfig(endpoint: string): DynamoDBClientConfig {
  return { endpoint, region: 'us-east-1', credentials: CREDENTIALS }
}

/** Options for a client of the store's own. */
export function localOptions(endpoint: string): DynamoOptions {
  return { clientOptions: { ...clientConfig(endpoint) } }
}

/** A store in a table of its own, which it deletes when it is closed. */
export class TableStore extends DynamoStore {
  readonly #endpoint: string
  readonly #table: string
  #isTidy = false

  constructor(endpoint: string, options: DynamoOptions = {}) {
    const table = randomTable()
    const where = options.client === undefined ? localOptions(endpoint) : {}
    super({ table, createIfNotExists: true, ...where, ...options })
    this.#endpoint = endpoint
    this.#table = table
  }

  override async close(): Promise<void> {
    await super.close()
    if (this.#isTidy) return
    this.#isTidy = true
    const client = new DynamoDBClient(clientConfig(this.#endpoint))
    await deleteTable(client, this.#table)
    client.destroy()
  }
}

async function deleteTable(client: DynamoDBClient, TableName: string): Promise<void> {
  try {
    await client.send(new DeleteTableCommand({ TableName }))
  } catch (error) {
    // No test used it.
    if (!(error instanceof Error && error.name === 'ResourceNotFoundException')) throw error
  }
}

/** A client of the test file's own, and a table in which each store has a namespace of its own. */
export class Bench {
  readonly endpoint: string
  readonly table: string = randomTable()
  readonly client: DynamoDBClient
  readonly #tables: string[] = [this.table]

  constructor(endpoint: string) {
    this.endpoint = endpoint
    this.client = new DynamoDBClient(clientConfig(endpoint))
  }

  /** Another table, of one test's own. */
  newTable(): string {
    const table = randomTable()
    this.#tables.push(table)
    return table
  }

  /** The table is made by whoever uses it first. */
  open(options: DynamoOptions = {}, clock?: Clock): DynamoStore {
    const where = options.client === undefined ? localOptions(this.endpoint) : {}
    const all = { table: this.table, namespace: randomUUID(), createIfNotExists: true, ...where, ...options }
    return clock === undefined ? new DynamoStore(all) : new DynamoStore(all, clock)
  }

  /** A store that is closed when the test ends. */
  tidy(options: DynamoOptions = {}, clock?: Clock): DynamoStore {
    const store = this.open(options, clock)
    onTestFinished(() => store.close())
    return store
  }

  /** All items whose key begins so. */
  async items(start: string, table: string = this.table): Promise<Record<string, AttributeValue>[]> {
    const found: Record<string, AttributeValue>[] = []
    let from: Record<string, AttributeValue> | undefined
    do {
      const reply = await this.client.send(
        new ScanCommand({ TableName: table, ConsistentRead: true, ...(from ? { ExclusiveStartKey: from } : {}) }),
      )
      found.push(...(reply.Items ?? []).filter((item) => item['key']?.S?.startsWith(start) === true))
      from = reply.LastEvaluatedKey
    } while (from !== undefined)
    return found
  }

  async close(): Promise<void> {
    for (const table of this.#tables) await deleteTable(this.client, table)
    this.client.destroy()
  }
}
