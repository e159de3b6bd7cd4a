/**
 * Leases: an item each, taken, prolonged and given back by conditional writes.
 *
 * DynamoDB has no clock that a condition could ask: a lease ends by the clock of whoever wants it next.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../engine/ports.ts'
import type { DynamoConnection } from './dynamodb-connection.ts'
import { number } from './dynamodb-items.ts'
import type { DynamoLifetimes } from './dynamodb-lifetimes.ts'
import type { DynamoNames } from './dynamodb-names.ts'

/** The item of a lease that ended is left to DynamoDB this much later, in ms: clocks differ. */
const LEFT = 3_600_000
const IS_MINE = '#owner = :owner AND #until > :now'

export class DynamoLocks {
  readonly #connection: DynamoConnection
  readonly #names: DynamoNames
  readonly #lifetimes: DynamoLifetimes
  readonly #clock: Clock

  constructor(connection: DynamoConnection, names: DynamoNames, lifetimes: DynamoLifetimes) {
    this.#connection = connection
    this.#names = names
    this.#lifetimes = lifetimes
    this.#clock = lifetimes.clock
  }

  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    const now = this.#clock.now()
    // The SDK repeats a request whose answer was lost: what it took the first time is ours.
    const take = { S: randomUUID() }
    const ttl = this.#lifetimes.ttl(now + lease + LEFT)
    const condition = 'attribute_not_exists(#key) OR #until <= :now OR #take = :take'
    const { done } = await this.#connection.attempt('PutItem', {
      Item: {
        ...this.#names.keyOf(this.#names.lock(name)),
        owner: { S: owner },
        take,
        until: number(now + lease),
        ...(ttl === undefined ? {} : { [this.#names.ttl]: ttl }),
      },
      ConditionExpression: condition,
      ...this.#names.in(condition),
      ExpressionAttributeValues: { ':now': number(now), ':take': take },
    })
    return done
  }

  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    const now = this.#clock.now()
    const ttl = this.#lifetimes.ttl(now + lease + LEFT)
    const set = { until: number(now + lease), ...(ttl === undefined ? {} : { ttl }) }
    const values = { ':owner': { S: owner }, ':now': number(now) }
    const input = this.#names.change(this.#names.lock(name), set, [], IS_MINE, values)
    return (await this.#connection.attempt('UpdateItem', input)).done
  }

  async unlock(name: string, owner: string): Promise<boolean> {
    const { done } = await this.#connection.attempt('DeleteItem', {
      Key: this.#names.keyOf(this.#names.lock(name)),
      ConditionExpression: IS_MINE,
      ...this.#names.in(IS_MINE),
      ExpressionAttributeValues: { ':owner': { S: owner }, ':now': number(this.#clock.now()) },
    })
    return done
  }
}
