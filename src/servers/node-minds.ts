/**
 * Whether a visitor has left, and whether a handler minds that: it, or the streams it works with, listen for that. A connection that was
 * destroyed on our side is not the visitor's doing: what was on its way is not whole, and is not meant to be.
 */
import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'

const OF_RESPONSE = ['close', 'finish', 'unpipe']
const OF_REQUEST = ['close', 'aborted', 'error']
const OF_SOCKET = ['close', 'end']

type Listeners = readonly (readonly [emitter: EventEmitter, name: string, known: readonly unknown[]])[]

function listenersOf(emitter: EventEmitter | null | undefined, names: readonly string[]): Listeners {
  return emitter ? names.map((name) => [emitter, name, emitter.rawListeners(name)]) : []
}

/** To be called before its turn; what is returned says whether anybody listens who did not before. */
export function departureOf(response: ServerResponse): () => boolean {
  const { req: request } = response
  // That of HTTP/2 is a stand-in, which is another one when its stream has gone.
  const socket = request.httpVersionMajor < 2 ? request.socket : null
  const known = [
    ...listenersOf(response, OF_RESPONSE),
    ...listenersOf(request, OF_REQUEST),
    ...listenersOf(socket, OF_SOCKET),
  ]
  return () => known.some(([emitter, name, before]) => emitter.rawListeners(name).some((one) => !before.includes(one)))
}

/** Whether a response, or the stream of HTTP/2 it goes out on, is closed: nothing can be sent any more. */
export function isGone(response: ServerResponse): boolean {
  const { destroyed, stream } = response as ServerResponse & { readonly stream?: { readonly destroyed: boolean } }
  return destroyed || stream?.destroyed === true
}

/** To be called when a response is closed. HTTP/2 does not say who has closed its stream. */
export function hasLeft({ req: { httpVersionMajor, socket } }: ServerResponse): boolean {
  if (httpVersionMajor >= 2) return true
  // Its end, or an error that the system has told of.
  return socket.readableEnded || typeof (socket.errored as { syscall?: unknown } | null)?.syscall === 'string'
}
