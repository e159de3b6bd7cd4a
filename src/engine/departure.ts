/**
 * A leader who aborts leaves at once, with its own reason; the exchange goes on while others wait for it. When they have left, too, it is
 * aborted (RELIABILITY 11-13). The body's part of the story is in live-body.ts.
 */
import type { Reply } from './exchange.ts'
import type { Catch } from './fill.ts'
import type { Flight, Watcher } from './single-flight.ts'

export class Departure implements Watcher {
  readonly #caller: AbortSignal
  readonly #controller = new AbortController()
  readonly #flight: Flight<Catch> | null
  #left = false

  constructor(caller: AbortSignal, flight: Flight<Catch> | null) {
    this.#caller = caller
    this.#flight = flight
    if (flight !== null) flight.watcher = this
  }

  /** What the origin is asked with. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The reply, or a rejection with the caller's reason when that comes first. */
  async orAbort(reply: Promise<Reply>): Promise<Reply> {
    const caller = this.#caller
    let abort: (() => void) | undefined
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        reject(caller.reason)
        this.#left = true
        if (this.#flight === null || this.#flight.waiting === 0) this.#abandon()
        // Whatever still comes is for the others: the caller has gone.
        reply.then(
          ({ body }) => body?.leave(undefined),
          () => undefined,
        )
      }
      if (caller.aborted) abort()
      else caller.addEventListener('abort', abort, { once: true })
    })
    try {
      return await Promise.race([reply, aborted])
    } finally {
      if (abort) caller.removeEventListener('abort', abort)
    }
  }

  /** Until the body takes over, the exchange is the same whoever waits for it. */
  wanted(): void {
    return
  }

  deserted(): void {
    if (this.#left) this.#abandon()
  }

  /** Nobody is left: nobody shall join it now, either. */
  #abandon(): void {
    const reason: unknown = this.#caller.reason
    this.#controller.abort(reason)
    this.#flight?.fail(reason)
  }
}
