/**
 * The way to DynamoDB: the SDK loaded and a client made at the first use, requests that end in time, a table that is made where it
 * is missing and may be made.
 *
 * 1. Every request has a deadline, over all the attempts of the SDK and whatever it does before them, such as looking for
 *    credentials (RELIABILITY 29, 38).
 * 2. The table is not looked at before the first use, nor is it afterwards: that it is missing or has other keys is seen from the
 *    answers. So a store that may not describe or make tables needs no permission to.
 * 3. A client that was given to us is never destroyed.
 */
import { StoreError } from '../errors.ts'
import { openClient, type Item, type Opened, type Operation, type Reply } from './dynamodb-client.ts'
import { isConditionFailure, isMissingTable, storeError, timeoutError } from './dynamodb-errors.ts'
import type { DynamoSettings } from './dynamodb-options.ts'
import { readyTable } from './dynamodb-table.ts'

/** What came of a conditional request; where its condition did not hold, the item that was in the way, if the server said. */
export type Tried = { readonly done: true } | { readonly done: false; readonly item: Item | undefined }

const DONE: Tried = { done: true }

export class DynamoConnection {
  readonly table: string
  readonly #settings: DynamoSettings
  readonly #waiting = new Set<Promise<unknown>>()
  #opening: Promise<Opened> | null = null
  #making: Promise<void> | null = null
  readonly #strict: Promise<void> | null
  #closed = false

  constructor(settings: DynamoSettings) {
    this.#settings = settings
    this.table = settings.table
    this.#strict = settings.strict ? this.#make() : null
    // Whoever uses the store, or asks whether it is ready, meets the failure.
    this.#strict?.catch(() => undefined)
  }

  /** @throws StoreError ERR_STORE_CLOSED */
  assertOpen(): void {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', 'the dynamodb store is closed')
  }

  /** The table is there, is as it must be, and is active. */
  async ready(): Promise<void> {
    this.assertOpen()
    await (this.#strict ?? this.#make())
  }

  /**
   * Sends an operation on the table.
   * @throws StoreError, StateError ERR_MISSING_PEER
   */
  async call(operation: Operation, input: object): Promise<Reply> {
    this.assertOpen()
    if (this.#strict !== null) await this.#strict
    try {
      return await this.#send(operation, input)
    } catch (error) {
      if (!this.#settings.createIfNotExists || !isMissingTable(error)) throw error
      await this.#make()
      return this.#send(operation, input)
    }
  }

  /** Sends a conditional operation on the table. */
  async attempt(operation: Operation, input: object): Promise<Tried> {
    try {
      await this.call(operation, { ...input, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' })
      return DONE
    } catch (error) {
      if (!isConditionFailure(error)) throw error
      return { done: false, item: error.Item as Item | undefined }
    }
  }

  #make(): Promise<void> {
    const send = (operation: Operation, input: object): Promise<Reply> => {
      this.assertOpen()
      return this.#send(operation, input)
    }
    this.#making ??= readyTable(send, this.#settings).finally(() => {
      this.#making = null
    })
    return this.#making
  }

  async #send(operation: Operation, input: object): Promise<Reply> {
    const sent = this.#sendInTime(operation, { TableName: this.table, ...input })
    this.#waiting.add(sent)
    try {
      return await sent
    } finally {
      this.#waiting.delete(sent)
    }
  }

  #sendInTime(operation: Operation, input: object): Promise<Reply> {
    const { requestTimeout } = this.#settings
    return new Promise<Reply>((resolve, reject) => {
      const controller = new AbortController()
      const timer = setTimeout(() => {
        reject(timeoutError(this.table, requestTimeout))
        controller.abort()
      }, requestTimeout)
      this.#open()
        .then(({ send }) => send(operation, input, controller.signal))
        .then(resolve, (error: unknown) => reject(isConditionFailure(error) ? error : storeError(error, this.table)))
        .finally(() => clearTimeout(timer))
    })
  }

  #open(): Promise<Opened> {
    this.#opening ??= openClient(this.#settings).catch((error: unknown) => {
      this.#opening = null
      throw error
    })
    return this.#opening
  }

  /** Waits for what is under way, then destroys what is ours. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    while (this.#waiting.size > 0) await Promise.allSettled(this.#waiting)
    const opened = await this.#opening?.catch(() => null)
    opened?.destroy()
  }
}
