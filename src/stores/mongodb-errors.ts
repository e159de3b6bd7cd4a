/** What MongoDB and its driver report, as StoreError: whose fault it is, and what to do. */
import { StateError, StoreError, type StoreErrorCode } from '../errors.ts'

/** Answers of the server, by its number for them. */
const ANSWERS: ReadonlyMap<number, readonly [code: StoreErrorCode, advice: string]> = new Map([
  [13, ['ERR_STORE_OPEN', 'its user needs the role readWrite on the database']],
  [18, ['ERR_STORE_OPEN', 'check user name, password and authSource']],
  [8000, ['ERR_STORE_OPEN', 'check user name, password and quota']],
  [50, ['ERR_STORE_TIMEOUT', 'it took longer than allowed']],
  [262, ['ERR_STORE_TIMEOUT', 'it took longer than allowed']],
  [10_334, ['ERR_STORE_FULL', 'a document is limited to 16 MB']],
  [14_031, ['ERR_STORE_FULL', 'its disk is full']],
  [10_107, ['ERR_STORE_READONLY', 'it is no primary; connect to the replica set']],
  [13_435, ['ERR_STORE_READONLY', 'it is no primary; connect to the replica set']],
  [10_058, ['ERR_STORE_READONLY', 'it is no primary; connect to the replica set']],
  [91, ['ERR_STORE_BUSY', 'it is shutting down; try later']],
  [189, ['ERR_STORE_BUSY', 'its primary stepped down; try later']],
  [11_600, ['ERR_STORE_BUSY', 'it is shutting down; try later']],
  [11_602, ['ERR_STORE_BUSY', 'its primary stepped down; try later']],
])

/** Errors of the driver, by their names. */
const NAMES: Readonly<Record<string, readonly [code: StoreErrorCode, what: string]>> = {
  MongoServerSelectionError: ['ERR_STORE_OPEN', 'MongoDB cannot be reached'],
  MongoParseError: ['ERR_STORE_OPEN', 'The driver does not take the URL or an option'],
  MongoInvalidArgumentError: ['ERR_STORE_OPEN', 'The driver does not take the URL or an option'],
  MongoMissingDependencyError: ['ERR_STORE_OPEN', 'The driver misses a package'],
  MongoMissingCredentialsError: ['ERR_STORE_OPEN', 'Credentials are missing'],
  MongoCompatibilityError: ['ERR_STORE_OPEN', 'The server is not one that the driver can use'],
  MongoTopologyClosedError: ['ERR_STORE_OPEN', 'The client is not connected'],
  MongoNotConnectedError: ['ERR_STORE_OPEN', 'The client is not connected'],
  MongoClientClosedError: ['ERR_STORE_OPEN', 'The client is not connected'],
  MongoNetworkTimeoutError: ['ERR_STORE_TIMEOUT', 'The connection to MongoDB timed out'],
  MongoWaitQueueTimeoutError: ['ERR_STORE_TIMEOUT', 'No connection to MongoDB became free'],
  BSONError: ['ERR_STORE_CORRUPT', 'A document is malformed'],
}

function numberOf(error: unknown): number {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : 0
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}

/** Whether the server itself answered so, rather than the connection failing. */
export function isAnswer(error: unknown): boolean {
  return error instanceof Error && /^Mongo(Server|BulkWrite|WriteConcern)Error$/.test(error.name)
}

/** Whether a document of this `_id` was there already. */
export function isDuplicate(error: unknown): boolean {
  return numberOf(error) === 11_000
}

/** Whether the server has no such feature: FerretDB answers so. */
export function isNotImplemented(error: unknown): boolean {
  return numberOf(error) === 238
}

/** Whether the client never connected: the driver leaves it so when its first attempt fails. */
export function isUnconnected(error: unknown): boolean {
  return error instanceof Error && error.name === 'MongoTopologyClosedError'
}

/** An error of a command, or of the connection that was to carry it. */
export function commandError(error: unknown): Error {
  if (error instanceof StoreError || error instanceof StateError) return error
  const message = messageOf(error)
  const known = isAnswer(error) ? ANSWERS.get(numberOf(error)) : undefined
  if (known !== undefined) {
    return new StoreError(known[0], `MongoDB refused: ${message} (${known[1]}).`, { cause: error })
  }
  if (isTooLarge(error)) {
    return new StoreError('ERR_STORE_FULL', `A document is limited to 16 MB: ${message}.`, { cause: error })
  }
  const name = error instanceof Error ? error.name : ''
  const [code, what] = NAMES[name] ?? [
    'ERR_STORE_FAILED',
    isAnswer(error) ? 'MongoDB answered with an error' : 'The connection to MongoDB failed',
  ]
  return new StoreError(code, `${what}: ${message}.`, { cause: error })
}

/** An error met while connecting: of whatever kind, the server cannot be used. */
export function connectError(error: unknown): Error {
  const known = commandError(error)
  if (!(known instanceof StoreError) || known.code !== 'ERR_STORE_FAILED') return known
  return new StoreError('ERR_STORE_OPEN', `MongoDB cannot be reached: ${messageOf(error)}.`, { cause: error })
}

/** The driver measures documents itself, too, and has several ways to say so. */
function isTooLarge(error: unknown): boolean {
  return /BSONObj size|larger than the maximum size|document is too large|offset.*out of range/i.test(messageOf(error))
}

function isServerError(error: unknown): boolean {
  return error instanceof Error && error.name === 'MongoServerError'
}

/** Whether a command was refused, rather than its answer lost: what it was to do is not done. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof StoreError) || error.code === 'ERR_STORE_TIMEOUT') return false
  // Without a cause it is an error of our own: nothing was sent.
  return error.cause === undefined || isServerError(error.cause) || isTooLarge(error.cause)
}

export function timeoutError(limit: number): StoreError {
  return new StoreError('ERR_STORE_TIMEOUT', `MongoDB did not answer within ${limit} ms.`)
}
