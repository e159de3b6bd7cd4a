/**
 * What we use of the AWS SDK, as types of our own: the published types of keepfresh name no package that may not be installed.
 *
 * Attributes, tables and indexes are named by `ExpressionAttributeNames`, and values given by `ExpressionAttributeValues`, never
 * written into an expression (RELIABILITY 139).
 */
import { StateError } from '../errors.ts'
import { missingPeer } from './peer.ts'

/** A `DynamoDBClient` of `@aws-sdk/client-dynamodb`, version 3. */
export interface DynamoClientLike {
  send(command: never, options?: { abortSignal?: AbortSignal }): Promise<unknown>
}

/** The value of an attribute, as far as we write or read any. */
export interface Attribute {
  readonly S?: string
  readonly N?: string
  readonly B?: Uint8Array
}

export type Item = Readonly<Record<string, Attribute>>

export type BatchWrites = Readonly<Record<string, readonly { DeleteRequest: { Key: Item } }[]>>
export type BatchReads = Readonly<Record<string, { readonly Keys: readonly Item[] }>>

export interface TableDescription {
  readonly TableStatus?: string
  readonly KeySchema?: readonly { readonly AttributeName?: string; readonly KeyType?: string }[]
  readonly AttributeDefinitions?: readonly { readonly AttributeName?: string; readonly AttributeType?: string }[]
}

/** What any of the operations may answer. */
export interface Reply {
  readonly Item?: Item
  readonly Items?: readonly Item[]
  readonly LastEvaluatedKey?: Item
  readonly Responses?: Readonly<Record<string, readonly Item[]>>
  readonly UnprocessedKeys?: BatchReads
  readonly UnprocessedItems?: BatchWrites
  readonly Table?: TableDescription
}

const OPERATIONS = [
  'GetItem',
  'PutItem',
  'UpdateItem',
  'DeleteItem',
  'BatchGetItem',
  'BatchWriteItem',
  'Scan',
  'DescribeTable',
  'CreateTable',
  'UpdateTimeToLive',
] as const

export type Operation = (typeof OPERATIONS)[number]

/** Sends one operation with its input. */
export type Send = (operation: Operation, input: object, signal: AbortSignal) => Promise<Reply>

/** A client that is ready to send. */
export interface Opened {
  readonly send: Send
  readonly destroy: () => void
}

interface SdkClient {
  send(command: object, options: { abortSignal: AbortSignal }): Promise<Reply>
  destroy?(): void
}

interface Sdk {
  readonly DynamoDBClient: new (options: object) => SdkClient
  readonly commands: ReadonlyMap<Operation, new (input: object) => object>
}

/** @throws StateError ERR_MISSING_PEER */
async function imported(): Promise<object> {
  try {
    return await import('@aws-sdk/client-dynamodb')
  } catch (cause) {
    const message = 'DynamoStore needs the package `@aws-sdk/client-dynamodb`: npm install @aws-sdk/client-dynamodb.'
    throw missingPeer(cause, message)
  }
}

async function load(): Promise<Sdk> {
  const sdk: object = await imported()
  const classes = sdk as Readonly<Record<string, new (input: object) => object>>
  const { DynamoDBClient } = sdk as { DynamoDBClient: Sdk['DynamoDBClient'] }
  const commands = new Map<Operation, new (input: object) => object>()
  for (const operation of OPERATIONS) {
    const command = classes[`${operation}Command`]
    if (command !== undefined) commands.set(operation, command)
  }
  return { DynamoDBClient, commands }
}

/** What a client is made of. */
interface ClientSettings {
  readonly client: DynamoClientLike | null
  readonly clientOptions: object
  readonly maxAttempts: number
  readonly connectTimeout: number
  readonly requestTimeout: number
}

/**
 * Loads the package, and makes a client where none was given. Nothing is connected to yet.
 * @throws StateError ERR_MISSING_PEER
 */
export async function openClient(settings: ClientSettings): Promise<Opened> {
  const { DynamoDBClient, commands } = await load()
  const { client: given, clientOptions, maxAttempts, connectTimeout, requestTimeout } = settings
  // Many requests at once wait for a socket; that is no reason to write to the console, which the SDK does after a while.
  const requestHandler = { connectionTimeout: connectTimeout, socketAcquisitionWarningTimeout: requestTimeout + 1000 }
  const client =
    given === null ? new DynamoDBClient({ maxAttempts, requestHandler, ...clientOptions }) : (given as SdkClient)
  return {
    send(operation, input, abortSignal) {
      const Command = commands.get(operation)
      if (Command === undefined) {
        const message = `DynamoStore needs version 3 of \`@aws-sdk/client-dynamodb\`; the one installed has no ${operation}Command.`
        throw new StateError('ERR_MISSING_PEER', message)
      }
      return client.send(new Command(input), { abortSignal })
    },
    destroy: () => {
      if (given === null) client.destroy?.()
    },
  }
}
