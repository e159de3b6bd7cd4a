/**
 * The part of undici's dispatchers that is used here: handlers in the form of versions 5 to 7 of it (Node 22 and 24), and how those of version 8
 * (Node 26) are made of them, and they of those.
 */

/** Names and values in turns; the values of one name may come as a list. */
export type RawHeaders = readonly (Uint8Array | string | readonly (Uint8Array | string)[])[]

export interface DispatchOptions {
  readonly headers: Readonly<Record<string, string>>
  /** Path, origin, method and whatever else fetch gives. */
  readonly [other: string]: unknown
}

/** Who is told of an exchange. */
export interface Handler {
  onConnect(abort: (reason: unknown) => void): void
  /** The first byte of an answer has come. */
  onResponseStarted?(): void
  /** False: what follows is not to be read before `resume`. */
  onHeaders(status: number, headers: RawHeaders, resume: () => void, statusText: string): boolean
  /** False: as above. */
  onData(chunk: Uint8Array): boolean
  onComplete(trailers: unknown): void
  onError(error: unknown): void
}

export interface Dispatcher {
  dispatch(options: DispatchOptions, handler: AnyHandler): boolean
}

export type AnyHandler = Handler | Handler8

interface Controller {
  readonly rawHeaders?: object | null
  abort(reason: unknown): void
  pause(): void
  resume(): void
}

/** Who is told of an exchange, as from version 8 on. */
export interface Handler8 {
  onRequestStart(controller: Controller, context: unknown): void
  onResponseStarted?(): void
  onResponseStart(controller: Controller, status: number, headers: object, statusText: string): void
  onResponseData(controller: Controller, chunk: Uint8Array): void
  onResponseEnd(controller: Controller, trailers: unknown): void
  onResponseError(controller: Controller, error: unknown): void
}

/** The form of its handlers: that of versions 5 to 7, or of 8. */
export type HandlerVersion = 7 | 8

/** Where a version keeps the dispatcher that is used where none is named. */
const GLOBALS: Readonly<Record<HandlerVersion, symbol>> = {
  7: Symbol.for('undici.globalDispatcher.1'),
  8: Symbol.for('undici.globalDispatcher.2'),
}

export function versionOf(handler: AnyHandler): HandlerVersion {
  return 'onRequestStart' in handler ? 8 : 7
}

/** The dispatcher that a fetch with handlers of this version would use now; null: it is not where it was. */
export function globalDispatcher(version: HandlerVersion): Dispatcher | null {
  const found: unknown = Reflect.get(globalThis, GLOBALS[version])
  return isDispatcher(found) ? found : null
}

function isDispatcher(value: unknown): value is Dispatcher {
  return typeof (value as Partial<Dispatcher> | null | undefined)?.dispatch === 'function'
}

/**
 * A handler as one of fetch is: an object whose functions are its own and do not ask what they are called on, since interceptors make copies
 * of it and put others around it.
 */
export function ofVersion(version: HandlerVersion, handler: Handler): AnyHandler {
  return version === 8 ? as8(handler) : as7(handler)
}

export function asHandler(handler: AnyHandler): Handler {
  return 'onRequestStart' in handler ? new From8(handler) : handler
}

function as7(handler: Handler): Handler {
  return {
    onConnect: (abort) => handler.onConnect(abort),
    onResponseStarted: () => handler.onResponseStarted?.(),
    onHeaders: (status, headers, resume, statusText) => handler.onHeaders(status, headers, resume, statusText),
    onData: (chunk) => handler.onData(chunk),
    onComplete: (trailers) => handler.onComplete(trailers),
    onError: (error) => handler.onError(error),
  }
}

function as8(handler: Handler): Handler8 {
  return {
    onRequestStart: (controller) => handler.onConnect((reason) => controller.abort(reason)),
    onResponseStarted: () => handler.onResponseStarted?.(),
    onResponseStart(controller, status, headers, statusText) {
      const raw = rawOf(controller.rawHeaders ?? [], headers)
      if (!handler.onHeaders(status, raw, () => controller.resume(), statusText)) controller.pause()
    },
    onResponseData(controller, chunk) {
      if (!handler.onData(chunk)) controller.pause()
    },
    onResponseEnd: (_, trailers) => handler.onComplete(trailers),
    onResponseError: (_, error) => handler.onError(error),
  }
}

/** As fetch takes them: from the object only where the list is of another form. */
function rawOf(given: object, headers: object): RawHeaders {
  if (Array.isArray(given)) return given as RawHeaders
  return Object.entries(headers).flatMap(([name, value]) => [
    name,
    Array.isArray(value) ? value.map(String) : `${value}`,
  ])
}

class From8 implements Handler, Controller {
  readonly #handler: Handler8
  #abort: (reason: unknown) => void = () => undefined
  #resume: () => void = () => undefined
  rawHeaders: RawHeaders | null = null
  readonly rawTrailers: null = null
  paused = false
  aborted = false
  reason: unknown = null

  constructor(handler: Handler8) {
    this.#handler = handler
  }

  abort(reason: unknown): void {
    this.aborted = true
    this.reason = reason
    this.#abort(reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#resume()
  }

  onConnect(abort: (reason: unknown) => void): void {
    this.#abort = abort
    this.#handler.onRequestStart(this, {})
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  onHeaders(status: number, headers: RawHeaders, resume: () => void, statusText: string): boolean {
    this.#resume = resume
    this.rawHeaders = headers
    this.#handler.onResponseStart(this, status, {}, statusText)
    return !this.paused
  }

  onData(chunk: Uint8Array): boolean {
    this.#handler.onResponseData(this, chunk)
    return !this.paused
  }

  onComplete(trailers: unknown): void {
    this.#handler.onResponseEnd(this, trailers)
  }

  onError(error: unknown): void {
    this.#handler.onResponseError(this, error)
  }
}
