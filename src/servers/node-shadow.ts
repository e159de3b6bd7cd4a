/**
 * A node:http response that was answered from the store while its handler is still to run: to the handler it looks like one that
 * nothing was sent on yet. What it gives goes to a capture, and from there to the store.
 */
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Capture } from './node-capture.ts'

/** @param fields the fields that were set before the handler's turn */
export function shadow(response: ServerResponse, fields: OutgoingHttpHeaders): Capture {
  const headers = new Map<string, OutgoingHttpHeader>()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) headers.set(name.toLowerCase(), value)
  const state = { sent: false, ended: false }
  response.statusCode = 200
  response.statusMessage = ''
  replaceHeaderMethods(response, headers)
  replaceState(response, state)
  const capture = new Capture(response)
  markProgress(response, state)
  return capture
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
    destroy: () => response,
  })
}

function replaceState(response: ServerResponse, state: { sent: boolean; ended: boolean }): void {
  const getters: Record<string, () => unknown> = {
    headersSent: () => state.sent,
    writableEnded: () => state.ended,
    writableFinished: () => state.ended,
    finished: () => state.ended,
    writableNeedDrain: () => false,
    writable: () => !state.ended,
    destroyed: () => false,
    closed: () => state.ended,
    errored: () => null,
  }
  for (const [name, get] of Object.entries(getters))
    Object.defineProperty(response, name, { get, configurable: true, set() {} })
}

/** What streams that end in this response wait for (stream.pipeline). */
function markProgress(response: ServerResponse, state: { sent: boolean; ended: boolean }): void {
  const { writeHead, write, end } = response
  // The response has finished once already, for those who listened then: node:http among them.
  const told = new Set(['finish', 'close'].flatMap((event) => response.rawListeners(event)))
  const tell = (event: string): void => {
    for (const listener of response.rawListeners(event)) if (!told.has(listener)) Reflect.apply(listener, response, [])
  }
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
    if (!state.ended) {
      state.sent = state.ended = true
      queueMicrotask(() => {
        tell('finish')
        tell('close')
      })
    }
    return response
  }) as typeof end
}
