/** What DynamoDB and its SDK report, as StoreError: whose fault it is, and what to do. */
import { isKeepfreshError, StoreError, type StoreErrorCode } from '../errors.ts'

/** Errors by name, in order of precedence; where there is a pattern, the message has to match as well. */
const KINDS: readonly (readonly [names: RegExp, message: RegExp | null, code: StoreErrorCode, advice: string])[] = [
  [
    /^ResourceNotFoundException$/,
    null,
    'ERR_STORE_OPEN',
    'there is no such table in this region; make it, or set `createIfNotExists`',
  ],
  [/^ValidationException$/, /item size/i, 'ERR_STORE_FULL', 'DynamoDB takes items of up to 400 KB'],
  [
    /^ValidationException$/,
    /key element|required keys|missing the key|type mismatch for key|number of conditions on the keys/i,
    'ERR_STORE_FORMAT',
    'the table must have one key, a partition key of type S with the name that `keyAttribute` says',
  ],
  [
    /^(ProvisionedThroughputExceeded|Throttling|LimitExceeded|RequestLimitExceeded|TransactionConflict|ReplicatedWriteConflict)(Exception)?$/,
    null,
    'ERR_STORE_BUSY',
    'it is throttled; raise its capacity, or bill it per request',
  ],
  [
    /^(UnrecognizedClient|InvalidSignature|MissingAuthenticationToken|IncompleteSignature|ExpiredToken|InvalidClientTokenId|SignatureDoesNotMatch)(Exception)?$/,
    null,
    'ERR_STORE_OPEN',
    'check credentials and region',
  ],
  [
    /^(Credentials|Token)ProviderError$/,
    null,
    'ERR_STORE_OPEN',
    'check credentials: AWS_ACCESS_KEY_ID, a profile, a role',
  ],
  [
    /^(AccessDenied|NotAuthorized|UnauthorizedOperation)(Exception)?$/,
    null,
    'ERR_STORE_OPEN',
    'it may not do what the store needs; docs/stores/dynamodb.md lists the permissions',
  ],
  [/./, /^Region is missing/, 'ERR_STORE_OPEN', 'set AWS_REGION, or `region` in `clientOptions`'],
  [
    /./,
    /\b(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)\b|ConnectTimeout|did not establish a connection/,
    'ERR_STORE_OPEN',
    'it cannot be reached; check region, endpoint and network',
  ],
]

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  if (!(error instanceof Error)) return String(error)
  // The lines that follow the first quote the request, signature included.
  const [first = ''] = error.message.split('\n')
  const code =
    'code' in error && typeof error.code === 'string' && !first.includes(error.code) ? ` (${error.code})` : ''
  return first === '' ? `${error.name}${code}` : `${first.replace(/\.$/, '')}${code}`
}

/** Whether the condition of a conditional request did not hold. */
export function isConditionFailure(error: unknown): error is Error & { readonly Item?: unknown } {
  return error instanceof Error && error.name === 'ConditionalCheckFailedException'
}

/** Whether an error of ours is about a table that is not there. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof StoreError && causeNamed(error, 'ResourceNotFoundException')
}

/** Whether an error of ours was made of an SDK's error of this name. */
export function causeNamed(error: Error, name: string): boolean {
  return error.cause instanceof Error && error.cause.name === name
}

/** An error of an operation on `table`. */
export function storeError(error: unknown, table: string): Error {
  if (error instanceof Error && isKeepfreshError(error)) return error
  const name = error instanceof Error ? error.name : ''
  const message = messageOf(error)
  const what = name.endsWith('Exception') ? `${name}: ${message}` : message
  for (const [names, pattern, code, advice] of KINDS) {
    if (!names.test(name) || pattern?.test(message) === false) continue
    return new StoreError(code, `DynamoDB table '${table}': ${what} (${advice}).`, { cause: error })
  }
  return new StoreError('ERR_STORE_FAILED', `DynamoDB table '${table}': ${what}.`, { cause: error })
}

export function timeoutError(table: string, limit: number): StoreError {
  return new StoreError('ERR_STORE_TIMEOUT', `DynamoDB table '${table}' did not answer within ${limit} ms.`)
}
