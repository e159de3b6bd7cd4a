/**
 * One flight per key: the first who wants a thing fetches it, the others wait for what comes of it (RELIABILITY 59-62, 150-153).
 *
 * Rule 1: the leader's fate is not the followers': its abort detaches only itself, its failure lets one of them lead anew.
 * Rule 2: a follower waits no longer than its signal and `timeout` allow; then it goes its own way.
 * Rule 3: a flight is gone from the table the moment it has landed: nothing accumulates.
 * Rule 4: an invalidation fences a flight: what it brings may still be answered with, but never stored (RELIABILITY 65).
 */

/** What a follower is told. */
export type Landing<T> =
  | { readonly kind: 'landed'; readonly value: T }
  /** The leader failed; `lead` says whether this follower is the one to try again. */
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It took longer than the timeout. */
  | { readonly kind: 'slow' }

export class Flight<T> {
  readonly key: string
  /** Set by an invalidation while the flight is under way. */
  fenced = false
  /** Asked before its result is stored; null: it may be. (A lease of another process's making, lease.ts.) */
  mayStore: (() => Promise<boolean>) | null = null
  /** Told of the landing. */
  onLanding: ((landing: Landing<T>) => void) | null = null
  /** How many wait for it besides the leader. */
  waiting = 0
  readonly #onLanded: (flight: Flight<T>) => void
  readonly #landing: Promise<Landing<T>>
  #resolve: (landing: Landing<T>) => void = () => undefined
  #landed = false
  /** How many leaders failed before this one: bounds retries to one (RELIABILITY 62). */
  readonly attempt: number

  constructor(key: string, attempt: number, onLanded: (flight: Flight<T>) => void) {
    this.key = key
    this.attempt = attempt
    this.#onLanded = onLanded
    this.#landing = new Promise((resolve) => (this.#resolve = resolve))
  }

  get landed(): boolean {
    return this.#landed
  }

  land(value: T): void {
    this.#end({ kind: 'landed', value })
  }

  fail(error: unknown): void {
    this.#end({ kind: 'failed', error })
  }

  #end(landing: Landing<T>): void {
    if (this.#landed) return
    this.#landed = true
    this.#onLanded(this)
    this.#resolve(landing)
    this.onLanding?.(landing)
  }

  /** Waits for the landing; rejects with the signal's reason when that comes first. */
  async wait(signal: AbortSignal | null, timeout: number): Promise<Landing<T>> {
    signal?.throwIfAborted()
    this.waiting += 1
    let timer: ReturnType<typeof setTimeout> | undefined
    let abort: (() => void) | undefined
    try {
      const slow = new Promise<Landing<T>>((resolve, reject) => {
        timer = setTimeout(() => resolve({ kind: 'slow' }), Math.min(timeout, 2_147_483_647))
        abort = () => reject(signal?.reason)
        signal?.addEventListener('abort', abort, { once: true })
      })
      return await Promise.race([this.#landing, slow])
    } finally {
      this.waiting -= 1
      clearTimeout(timer)
      if (abort) signal?.removeEventListener('abort', abort)
    }
  }
}

export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** How many flights are under way. */
  get size(): number {
    return this.#flights.size
  }

  get(key: string): Flight<T> | undefined {
    return this.#flights.get(key)
  }

  /** Starts a flight that others can join under this key; it replaces one that is fenced. */
  start(key: string, attempt = 0): Flight<T> {
    const flight = new Flight<T>(key, attempt, (landed) => {
      if (this.#flights.get(key) === landed) this.#flights.delete(key)
    })
    this.#flights.set(key, flight)
    return flight
  }

  /** Fences what is under way for these keys, or for all: later requests start anew. */
  fence(matches: (key: string) => boolean): void {
    for (const [key, flight] of this.#flights) {
      if (!matches(key)) continue
      flight.fenced = true
      this.#flights.delete(key)
    }
  }
}
