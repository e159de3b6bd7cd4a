/** What Redis and its clients report, as StoreError: whose fault it is, and what to do. */
import { StoreError, type StoreErrorCode } from '../errors.ts'

/** Errors by the code a reply starts with. Scripts of a Redis before 7 wrap it in a sentence: hence not only at the start. */
const REPLIES: readonly (readonly [pattern: RegExp, code: StoreErrorCode, advice: string])[] = [
  [/\bOOM command not allowed/, 'ERR_STORE_FULL', 'raise its maxmemory, or set a maxmemory-policy that evicts'],
  [/\bWRONGTYPE\b/, 'ERR_STORE_CORRUPT', 'a value of another program is under a key of ours'],
  [/^(NOAUTH|WRONGPASS|ERR AUTH|ERR invalid password)\b/, 'ERR_STORE_OPEN', 'check user name and password'],
  [/^NOPERM\b/, 'ERR_STORE_OPEN', 'its user may not do what the store needs; docs/stores/redis.md lists the commands'],
  [/\bREADONLY\b/, 'ERR_STORE_READONLY', 'it is a replica; connect to the primary'],
  [/^(LOADING|BUSY|TRYAGAIN|MASTERDOWN)\b/, 'ERR_STORE_BUSY', 'it is loading or busy; try later'],
]

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message || error.name : String(error)
}

/** Whether the server itself answered so: its errors start with a word in capitals; those of a connection do not. */
export function isReply(error: unknown): boolean {
  return /^[A-Z][A-Z0-9_]+\b/.test(messageOf(error))
}

/** Whether the server does not know the script: it was restarted, or another node answers. */
export function isUnknownScript(error: unknown): boolean {
  return /^NOSCRIPT\b/.test(messageOf(error))
}

/** An error of a command. */
export function commandError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const message = messageOf(error)
  for (const [pattern, code, advice] of REPLIES) {
    if (pattern.test(message)) return new StoreError(code, `Redis refused: ${message} (${advice}).`, { cause: error })
  }
  const what = isReply(error) ? 'Redis answered with an error' : 'The connection to Redis failed'
  return new StoreError('ERR_STORE_FAILED', `${what}: ${message}.`, { cause: error })
}

/** An error met while connecting to `subject`. */
export function connectError(error: unknown, subject: string): StoreError {
  const reason = error instanceof StoreError ? error.message : commandError(error).message
  const code = error instanceof StoreError ? error.code : 'ERR_STORE_OPEN'
  return new StoreError(code, `${subject} cannot be used. ${reason}`, { cause: error })
}

export function timeoutError(what: string, limit: number): StoreError {
  return new StoreError('ERR_STORE_TIMEOUT', `Redis did not ${what} within ${limit} ms.`)
}
