/**
 * Many items at once: deleted 25 a request, read 100 a request, scanned a page a request.
 *
 * What DynamoDB left undone of a batch is asked for again, after pauses that double (it was throttled), and not for ever.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import { groupsOf } from './groups-of.ts'
import type { BatchReads, BatchWrites, Item } from './dynamodb-client.ts'
import type { DynamoConnection } from './dynamodb-connection.ts'
import type { DynamoNames } from './dynamodb-names.ts'

/** What DynamoDB takes in one request. */
const DELETES = 25
const READS = 100
/** Requests under way at once. */
const PARALLEL = 8
/** Items looked at for one page of a scan: a page is read by one call that holds the event loop. */
const PAGE = 250
const FIRST_PAUSE = 20
const LONGEST_PAUSE = 1000
const TRIES = 8

/** Does all of it, a few at a time, the results in order. */
export async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      const item = items[index]
      if (item !== undefined) results[index] = await work(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker))
  return results
}

/** Before the n-th repetition of a batch; not all who were throttled come back at the same time. */
async function pause(n: number, table: string): Promise<void> {
  if (n >= TRIES) {
    const message = `DynamoDB table '${table}' left part of a batch undone ${TRIES} times: it is throttled. Raise its capacity.`
    throw new StoreError('ERR_STORE_BUSY', message)
  }
  await sleep(Math.min(FIRST_PAUSE * 2 ** (n - 1), LONGEST_PAUSE) * (0.5 + Math.random() / 2))
}

function isEmpty(left: object): boolean {
  return Object.keys(left).length === 0
}

export class DynamoBatches {
  readonly #connection: DynamoConnection
  readonly #names: DynamoNames
  readonly #consistent: boolean

  constructor(connection: DynamoConnection, names: DynamoNames, consistent: boolean) {
    this.#connection = connection
    this.#names = names
    this.#consistent = consistent
  }

  /** Deletes the items of these names, which must be different; whatever they are. */
  async delete(names: readonly string[]): Promise<void> {
    await each(groupsOf(names, DELETES), (group) => {
      const requests = group.map((name) => ({ DeleteRequest: { Key: this.#names.keyOf(name) } }))
      return this.#write({ [this.#connection.table]: requests })
    })
  }

  async #write(left: BatchWrites): Promise<void> {
    for (let tries = 1; !isEmpty(left); tries++) {
      left = (await this.#call('BatchWriteItem', left)).UnprocessedItems ?? {}
      if (!isEmpty(left)) await pause(tries, this.#connection.table)
    }
  }

  /** The items of these names, which must be different, as far as they are there; of their attributes, these `#words`. */
  async get(names: readonly string[], projection: string): Promise<Map<string, Item>> {
    const found = new Map<string, Item>()
    await each(groupsOf(names, READS), async (group) => {
      const ask = {
        Keys: group.map((name) => this.#names.keyOf(name)),
        ConsistentRead: this.#consistent,
        ProjectionExpression: projection,
        ...this.#names.in(projection),
      }
      let left: BatchReads = { [this.#connection.table]: ask }
      for (let tries = 1; !isEmpty(left); tries++) {
        const reply = await this.#call('BatchGetItem', left)
        for (const item of Object.values(reply.Responses ?? {}).flat()) found.set(this.#names.nameOf(item), item)
        left = reply.UnprocessedKeys ?? {}
        if (!isEmpty(left)) await pause(tries, this.#connection.table)
      }
    })
    return found
  }

  #call(operation: 'BatchGetItem' | 'BatchWriteItem', requests: object): ReturnType<DynamoConnection['call']> {
    return this.#connection.call(operation, { TableName: undefined, RequestItems: requests })
  }

  /** All items a filter takes, a page at a time; of their attributes, these `#words`. */
  async *scan(filter: string, values: Item, projection: string): AsyncGenerator<readonly Item[]> {
    let from: Item | undefined
    do {
      const { Items, LastEvaluatedKey } = await this.#connection.call('Scan', {
        ConsistentRead: this.#consistent,
        FilterExpression: filter,
        ProjectionExpression: projection,
        ...this.#names.in(filter, projection),
        ExpressionAttributeValues: values,
        Limit: PAGE,
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      })
      if (Items !== undefined && Items.length > 0) yield Items
      from = LastEvaluatedKey
    } while (from !== undefined)
  }
}
