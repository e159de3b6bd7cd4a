/**
 * A leader who aborts leaves at once, with its own reason; the exchange goes on while others wait for it, else it is aborted, too
 * (RELIABILITY 11-13). The body's part of the story is in live-body.ts.
 */
import type { Reply } from './exchange.ts'

export class Departure {
  /** What the origin is asked with: null when nobody can abort. */
  readonly signal: AbortSignal | null
  readonly #caller: AbortSignal | null
  readonly #controller: AbortController | null
  readonly #othersWait: () => boolean

  constructor(caller: AbortSignal | null, othersWait: () => boolean) {
    this.#caller = caller
    this.#othersWait = othersWait
    this.#controller = caller === null ? null : new AbortController()
    this.signal = this.#controller?.signal ?? null
  }

  /** The reply, or a rejection with the caller's reason when that comes first. */
  async orAbort(reply: Promise<Reply>): Promise<Reply> {
    const caller = this.#caller
    if (caller === null) return reply
    let abort: (() => void) | undefined
    const aborted = new Promise<never>((_, reject) => {
      abort = () => {
        reject(caller.reason)
        if (!this.#othersWait()) this.#controller?.abort(caller.reason)
        // Whatever still comes is for the others: the caller has gone.
        reply.then(leave, () => undefined)
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
}

function leave(reply: Reply): void {
  const body = reply.body as { leave?: (reason: unknown) => void } | null
  body?.leave?.(undefined)
}
