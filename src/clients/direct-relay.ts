/** An exchange under way, as a dispatcher for fetch: its one request is not made again, but goes on from where it stands. */
import { asHandler, type AnyHandler, type Dispatcher, type DispatchOptions, type Handler } from './dispatcher.ts'

type Event = (handler: Handler) => unknown

export class Relay implements Dispatcher {
  readonly #leave: (reason: unknown) => void
  readonly #resume: () => void
  /** For what fetch asks besides, such as the same once more over a new connection. */
  readonly #dispatcher: Dispatcher
  /** What has happened while nobody listened. */
  readonly #events: Event[]
  #handler: Handler | null = null
  #goesOn = false

  constructor(head: Event, resume: () => void, leave: (reason: unknown) => void, dispatcher: Dispatcher) {
    this.#events = [head]
    this.#resume = resume
    this.#leave = leave
    this.#dispatcher = dispatcher
  }

  get isTaken(): boolean {
    return this.#handler !== null
  }

  /** Whether the connection is to be read on. Fetch may well ask while the head is still being told of: nothing could be resumed then. */
  get goesOn(): boolean {
    return this.#goesOn
  }

  dispatch(options: DispatchOptions, given: AnyHandler): boolean {
    if (this.#handler !== null) return this.#dispatcher.dispatch(options, given)
    const handler = (this.#handler = asHandler(given))
    handler.onConnect(this.#leave)
    handler.onResponseStarted?.()
    const [goesOn] = this.#events.splice(0).map((event) => event(handler))
    this.#goesOn = goesOn !== false
    if (this.#goesOn) this.#resume()
    return true
  }

  /** What its handler says to an event; false where there is none yet. */
  pass(event: Event): unknown {
    if (this.#handler !== null) return event(this.#handler)
    this.#events.push(event)
    return false
  }
}
