/**
 * What a handler does to its connection once it has ended an answer that is still held: done when that is out. Node would have handed it
 * over before (`res.writeHead(413).end(); req.destroy()`).
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** False: nothing is held, it is to be done at once. */
type Hold = (parting: () => void) => boolean

/** For whom the connections are held whose methods pass through here. One that is deleted again would make a socket slow. */
const holds = new WeakMap<Socket, Hold>()

const never: Hold = () => false

/** @returns to be called when nothing is held any more */
export function holdPartings(response: ServerResponse, hold: Hold): () => void {
  const { req: request } = response
  const { socket } = request
  holdMethods(response, ['destroy'], hold)
  // A visitor who has left is not held.
  holdMethods(request, ['destroy'], (parting) => socket?.destroyed === false && hold(parting))
  // That of HTTP/2 is a stand-in, which lets nobody end it.
  if (request.httpVersionMajor >= 2) return () => undefined
  if (!holds.has(socket))
    holdMethods(socket, ['destroy', 'end', 'destroySoon'], (parting) => holds.get(socket)?.(parting) ?? false)
  holds.set(socket, hold)
  return () => holds.set(socket, never)
}

function holdMethods<K extends string>(
  target: Record<K, (...args: never[]) => unknown>,
  names: readonly K[],
  hold: Hold,
): void {
  for (const name of names) {
    const method = target[name]
    const held = (...args: never[]): unknown =>
      hold(() => void Reflect.apply(method, target, args)) ? target : Reflect.apply(method, target, args)
    Object.assign(target, { [name]: held })
  }
}
