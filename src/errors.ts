/**
 * Every error class, code and message: whose fault it is, and what to do next.
 *
 * The caller's fault: OptionError (a TypeError). The origin's: HttpError, and what fetch itself throws. A store's: StoreError,
 * which never reaches the caller of fetch: it becomes a miss and an `error` event (see docs/guide.md, "When a store fails").
 */

/** What every keepfresh error has in common: a stable `code`. */
export interface KeepfreshError extends Error {
  readonly code: string
}

export type OptionErrorCode =
  | 'ERR_OPTION_UNKNOWN'
  | 'ERR_OPTION_VALUE'
  | 'ERR_DURATION'
  | 'ERR_PATTERN'
  | 'ERR_URL'
  | 'ERR_STORE_URL'
  | 'ERR_KEY'

/**
 * A wrong option, duration, pattern or URL: thrown where it is given, naming the option and the accepted forms.
 *
 * @example
 * ```ts
 * import { createCachedFetch, OptionError } from 'keepfresh'
 *
 * try {
 *   createCachedFetch({ expireAfter: 'tomorrow' })
 * } catch (error) {
 *   if (error instanceof OptionError) console.log(error.code, error.option) // 'ERR_DURATION' 'expireAfter'
 * }
 * ```
 */
export class OptionError extends TypeError implements KeepfreshError {
  override readonly name: 'OptionError' = 'OptionError'
  readonly code: OptionErrorCode
  /** The name of the option at fault. */
  readonly option: string
  constructor(code: OptionErrorCode, option: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.option = option
  }
}

export type StateErrorCode =
  | 'ERR_SESSION_CLOSED'
  | 'ERR_CACHE_CLOSED'
  | 'ERR_REENTRANT'
  | 'ERR_NOT_LISTABLE'
  | 'ERR_MISSING_PEER'
  | 'ERR_NOT_SUPPORTED'

/**
 * Something was used when or where it cannot be: after close, without its peer dependency, on a store that cannot list.
 *
 * @example
 * ```ts
 * import { CachedSession, StateError } from 'keepfresh'
 *
 * const session = new CachedSession()
 * await session.close()
 * await session.get('https://api.example.com/users').catch((error: unknown) => {
 *   if (error instanceof StateError) console.log(error.code) // 'ERR_SESSION_CLOSED'
 * })
 * ```
 */
export class StateError extends Error implements KeepfreshError {
  override readonly name: 'StateError' = 'StateError'
  readonly code: StateErrorCode
  constructor(code: StateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export type StoreErrorCode =
  | 'ERR_STORE_CLOSED'
  | 'ERR_STORE_CORRUPT'
  | 'ERR_STORE_TIMEOUT'
  | 'ERR_STORE_BUSY'
  | 'ERR_STORE_FULL'
  | 'ERR_STORE_READONLY'
  | 'ERR_STORE_FORMAT'
  | 'ERR_STORE_OPEN'
  | 'ERR_STORE_FAILED'

/**
 * A store failed. The request that met it was answered by the origin; this error is in the `error` event.
 *
 * @example
 * ```ts
 * import { createCachedFetch, MemoryStore, StoreError } from 'keepfresh'
 *
 * const store = new MemoryStore()
 * store.close()
 * const fetch = createCachedFetch({ store })
 * fetch.on('error', ({ error }) => {
 *   if (error instanceof StoreError) console.log(error.code)
 * })
 * const response = await fetch('https://api.example.com/users')
 * console.log(response.status) // 200
 * ```
 */
export class StoreError extends Error implements KeepfreshError {
  override readonly name: 'StoreError' = 'StoreError'
  readonly code: StoreErrorCode
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * A response whose status the caller declared an error (`raiseForStatus`).
 *
 * @example
 * ```ts
 * import { CachedSession, HttpError } from 'keepfresh'
 *
 * const session = new CachedSession({ raiseForStatus: true })
 * await session.get('https://api.example.com/status/404').catch(async (error: unknown) => {
 *   if (error instanceof HttpError) console.log(error.status, (await error.response.text()).length > 0) // 404 true
 * })
 * ```
 */
export class HttpError extends Error implements KeepfreshError {
  override readonly name: 'HttpError' = 'HttpError'
  readonly code: 'ERR_HTTP_STATUS' = 'ERR_HTTP_STATUS'
  /** The response, its body unread. */
  readonly response: Response
  constructor(response: Response) {
    super(`${response.status} ${response.statusText || 'error'} for ${response.url}`)
    this.response = response
  }
  /** The status of the response. */
  get status(): number {
    return this.response.status
  }
}

/**
 * Whether a value is an error of keepfresh: all have a stable `code`.
 *
 * @example
 * ```ts
 * import { CachedSession, isKeepfreshError } from 'keepfresh'
 *
 * const session = new CachedSession({ raiseForStatus: true })
 * await session.get('https://api.example.com/status/500').catch((error: unknown) => {
 *   if (isKeepfreshError(error)) console.log(error.code) // 'ERR_HTTP_STATUS'
 * })
 * ```
 */
export function isKeepfreshError(value: unknown): value is KeepfreshError {
  return (
    value instanceof OptionError ||
    value instanceof StateError ||
    value instanceof StoreError ||
    value instanceof HttpError
  )
}

/** What a store failed with: the error itself where it is a StoreError already. `store`: its name, where that is known. */
export function asStoreError(error: unknown, operation: string, store?: string): StoreError {
  if (error instanceof StoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  const who = store === undefined ? 'a store' : `the ${store} store`
  return new StoreError('ERR_STORE_FAILED', `${who} failed to ${operation}: ${message}`, { cause: error })
}

const OF_OPTIONS: ReadonlySet<string> = new Set(['[object Object]', '[object Module]'])

/** Whether a value can hold options: an object, and no list, Map, Date or promise, whose own members would say nothing. */
export function isOptionsObject(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    OF_OPTIONS.has(Object.prototype.toString.call(value))
  )
}

/** The nearest of `known` to a misspelt name, or undefined when none is near. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      bestDistance = distance
      best = candidate
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
