/**
 * A node:http response that was answered from the store while its handler is still to run: to the handler it looks like one that
 * nothing was sent on yet. What it gives goes to a capture, and from there to the store.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { setPhrase, type Before } from './node-before.ts'
import { Capture } from './node-capture.ts'

/**
 * Resolves when an answer has left, or its visitor has: until then, those who wait for its end (on-finished and its like) would take
 * it for the end of what the handler does next.
 */
export function isOut(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const inTurn = (): void => void setImmediate(resolve)
    if (response.writableFinished || response.closed) return inTurn()
    response.once('finish', inTurn)
    response.once('close', inTurn)
    return undefined
  })
}

/**
 * To a handler whose answer nobody wants any more, not even the store, its visitor leaves.
 * @param before what was set before the handler's turn, the first time
 */
export function shadow(request: IncomingMessage, response: ServerResponse, before: Before): Capture {
  const state = { sent: false, ended: false, destroyed: false, asItIs: false }
  hide(response, before)
  const tell = detach(request, response, listenersOf(request, response), state)
  const capture = new Capture(response)
  markProgress(response, state, tell)
  capture.whenUnwanted(() => response.destroy())
  return capture
}

/**
 * For a handler that has begun its answer, whose visitor has got another one meanwhile (a 304): what it still gives is for the store
 * alone.
 * @param early who listened before its turn
 */
export function letGo(
  request: IncomingMessage,
  response: ServerResponse,
  begun: Before,
  early: Listening,
  capture: Capture,
): void {
  const state = { sent: true, ended: false, destroyed: false, asItIs: false }
  const tell = detach(request, response, early, state, () => hide(response, begun))
  capture.whenOver(() => over(state, tell))
  capture.whenUnwanted(() => response.destroy())
}

/** What a handler finds on the response from now on. @param before what was set on it, as far as the handler knows */
function hide(response: ServerResponse, before: Before): void {
  const headers = new Map<string, OutgoingHttpHeader>()
  for (const [name, value] of Object.entries(before.fields))
    if (value !== undefined) headers.set(name.toLowerCase(), value)
  response.statusCode = before.statusCode
  setPhrase(response, before.statusMessage)
  forgetSocket(response)
  replaceHeaderMethods(response, headers)
}

/**
 * What still comes of the answer that is out is not for the handler: its visitor may leave, its own answer goes on.
 * @param out called once those who listened before have heard the last of it
 * @returns what calls the handler's listeners
 */
function detach(
  request: IncomingMessage,
  response: ServerResponse,
  early: Listening,
  state: State,
  out: () => void = () => undefined,
): (event: string) => void {
  keepEvents(request, early.request, state)
  const tell = keepEvents(response, early.response, state, out)
  replaceState(response, state)
  own(response, {
    destroy: () => {
      // Whatever the handler was about to say, it is not whole: the capture hears of it by this event.
      if (!state.ended && !state.destroyed) {
        state.destroyed = true
        tell('close')
      }
      return response
    },
  })
  return tell
}

/** Once the answer that is out has gone, or its visitor has: a handler that looks for the connection finds none, rather than a dead one. */
function forgetSocket(response: ServerResponse): void {
  const forget = (): void => own(response, { socket: null })
  if (response.closed) forget()
  else response.once('close', forget)
}

function own(response: ServerResponse, properties: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(properties)) {
    Object.defineProperty(response, name, { value, configurable: true, writable: true })
  }
}

function replaceHeaderMethods(response: ServerResponse, headers: Map<string, OutgoingHttpHeader>): void {
  const append = (name: string, value: string | readonly string[]): ServerResponse => {
    const known = headers.get(name.toLowerCase())
    const before = known === undefined ? [] : Array.isArray(known) ? known : [String(known)]
    headers.set(name.toLowerCase(), [...before, ...(typeof value === 'string' ? [value] : value)])
    return response
  }
  own(response, {
    setHeader: (name: string, value: OutgoingHttpHeader) => (headers.set(name.toLowerCase(), value), response),
    setHeaders: (given: Iterable<[string, OutgoingHttpHeader]>) => {
      for (const [name, value] of given) headers.set(name.toLowerCase(), value)
      return response
    },
    appendHeader: append,
    getHeader: (name: string) => headers.get(name.toLowerCase()),
    getHeaders: () => Object.fromEntries(headers),
    getHeaderNames: () => [...headers.keys()],
    getRawHeaderNames: () => [...headers.keys()],
    hasHeader: (name: string) => headers.has(name.toLowerCase()),
    removeHeader: (name: string) => void headers.delete(name.toLowerCase()),
    addTrailers: () => undefined,
    writeContinue: () => undefined,
    writeProcessing: () => undefined,
    writeEarlyHints: () => undefined,
    cork: () => undefined,
    uncork: () => undefined,
    setTimeout: () => response,
  })
}

/** What the handler finds. */
interface State {
  sent: boolean
  ended: boolean
  destroyed: boolean
  /** While those hear of an event who listened before: the visitor's log finds what became of the answer that is out. */
  asItIs: boolean
}

function replaceState(response: ServerResponse, state: State): void {
  const getters: Record<string, () => unknown> = {
    headersSent: () => state.sent,
    writableEnded: () => state.ended,
    writableFinished: () => state.ended,
    finished: () => state.ended,
    writableNeedDrain: () => false,
    writable: () => !state.ended && !state.destroyed,
    destroyed: () => state.destroyed,
    closed: () => state.ended || state.destroyed,
    errored: () => null,
  }
  for (const [name, get] of Object.entries(getters)) {
    // Some are node's own data on the response, the others are made out by its prototype.
    const known = Object.getOwnPropertyDescriptor(response, name)
    const kept = known !== undefined && 'value' in known ? known : null
    const real = (): unknown =>
      kept === null ? Reflect.get(Object.getPrototypeOf(response) as object, name, response) : kept.value
    Object.defineProperty(response, name, {
      get: () => (state.asItIs ? real() : get()),
      set: (value: unknown) => {
        if (kept !== null) kept.value = value
      },
      configurable: true,
    })
  }
}

const ON_FINISHED = '__onFinished'

type Listeners = ReadonlyMap<string, ReadonlySet<unknown>>

/** Who listens to what becomes of a request and its response, by the names of the events. */
export interface Listening {
  readonly request: Listeners
  readonly response: Listeners
}

export function listenersOf(request: IncomingMessage, response: ServerResponse): Listening {
  // All that wait by on-finished share one listener: those who come from now on get one of their own.
  if (ON_FINISHED in response) Object.assign(response, { [ON_FINISHED]: null })
  const all = (emitter: EventEmitter, names: readonly string[]): Listeners =>
    new Map(names.map((name) => [name, new Set(emitter.rawListeners(name))]))
  return {
    request: all(request, ['close', 'aborted', 'error']),
    response: all(response, ['finish', 'close', 'error', 'prefinish', 'timeout']),
  }
}

/**
 * From now on, events of these names go only to these listeners; the function that is returned tells the others. Node's own listeners,
 * the visitor's log and the like hear of the answer that is out; the handler and its streams of theirs.
 */
function keepEvents(
  emitter: EventEmitter,
  earlier: Listeners,
  state: State,
  out?: () => void,
): (event: string) => void {
  const { emit } = emitter
  const call = (event: string, args: unknown[], wanted: (known: boolean) => boolean): boolean => {
    const known = earlier.get(event)
    const listeners = emitter.rawListeners(event).filter((listener) => wanted(known?.has(listener) ?? false))
    for (const listener of listeners) Reflect.apply(listener, emitter, args)
    return listeners.length > 0
  }
  Object.defineProperty(emitter, 'emit', {
    value: (event: string, ...args: unknown[]) => {
      if (!earlier.has(event)) return emit.call(emitter, event, ...args)
      state.asItIs = true
      try {
        return call(event, args, (known) => known)
      } finally {
        state.asItIs = false
        if (event === 'close') out?.()
      }
    },
    configurable: true,
    writable: true,
  })
  return (event) => void call(event, [], (known) => !known)
}

/** What streams that end in this response wait for (stream.pipeline). */
function markProgress(response: ServerResponse, state: State, tell: (event: string) => void): void {
  const { writeHead, write, end } = response
  response.writeHead = ((...args: Parameters<typeof writeHead>) => {
    state.sent = true
    return writeHead.apply(response, args)
  }) as typeof writeHead
  response.write = ((...args: Parameters<typeof write>) => {
    state.sent = true
    return write.apply(response, args)
  }) as typeof write
  response.end = ((...args: Parameters<typeof end>) => {
    end.apply(response, args)
    over(state, tell)
    return response
  }) as typeof end
}

function over(state: State, tell: (event: string) => void): void {
  if (state.ended) return
  state.sent = state.ended = true
  queueMicrotask(() => {
    tell('finish')
    tell('close')
  })
}
