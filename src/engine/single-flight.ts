/**
 * One flight per key: the first who wants a thing fetches it, the others wait for what comes of it (RELIABILITY 59-62, 150-153).
 *
 * Rule 1: the leader's fate is not the followers': its abort detaches only itself, its failure lets one of them lead anew.
 * Rule 2: a follower waits no longer than its signal and `timeout` allow; then it goes its own way.
 * Rule 3: a flight is gone from the table the moment it has landed: nothing accumulates.
 * Rule 4: a flight that an invalidation overtook answers those who wait for it, but nobody joins it any more (fences.ts, RELIABILITY 65).
 */
import { after, type Timer } from './timer.ts'

/** What a follower is told. */
export type Landing<T> =
  | { readonly kind: 'landed'; readonly value: T }
  /** The leader failed; `lead` says whether this follower is the one to try again. */
  | { readonly kind: 'failed'; readonly error: unknown }
  /** It took longer than the timeout. */
  | { readonly kind: 'slow' }

/** Told of those who wait for a flight. */
export interface Watcher {
  /** Somebody waits, where nobody did. */
  wanted(): void
  /** Nobody waits any more, and it has not landed. */
  deserted(): void
}

/** The leader went away of its own accord: that is no failure of the origin, and no attempt (rule 1). */
export class LeaderLeft extends Error {
  override readonly name: 'LeaderLeft' = 'LeaderLeft'
}

export class Flight<T> {
  readonly key: string
  /** The epoch (fences.ts) in which its origin was asked; until then, the one it started in. */
  epoch: number
  /** Whoever has the exchange in hand: its head first, then its body. */
  watcher: Watcher | null = null
  /** Asked before its result is stored; null: it may be. (A lease of another process's making, lease.ts.) */
  mayStore: (() => Promise<boolean>) | null = null
  /** All of it has come in, and is being stored. */
  storing = false
  /** A caller demanded it: what it brings takes the place of what the others find fresh. */
  replaces = false
  /** It failed by its leader's own abort. */
  abandoned = false
  /** Told of the landing. */
  onLanding: ((landing: Landing<T>) => void) | null = null
  /** How many wait for it besides the leader. */
  waiting = 0
  readonly #onLanded: (flight: Flight<T>) => void
  #landed: Landing<T> | null = null
  /** Made for the first who waits: most flights land with nobody waiting. */
  #landing: Promise<Landing<T>> | null = null
  #resolve: ((landing: Landing<T>) => void) | null = null
  /** How many leaders failed before this one: bounds retries to one (RELIABILITY 62). */
  readonly attempt: number

  constructor(key: string, epoch: number, attempt: number, onLanded: (flight: Flight<T>) => void) {
    this.key = key
    this.epoch = epoch
    this.attempt = attempt
    this.#onLanded = onLanded
  }

  get landed(): boolean {
    return this.#landed !== null
  }

  land(value: T): void {
    this.#end({ kind: 'landed', value })
  }

  fail(error: unknown): void {
    this.#end({ kind: 'failed', error })
  }

  #end(landing: Landing<T>): void {
    if (this.#landed !== null) return
    this.#landed = landing
    this.#onLanded(this)
    this.#resolve?.(landing)
    this.onLanding?.(landing)
  }

  #landings(): Promise<Landing<T>> {
    if (this.#landed !== null) return Promise.resolve(this.#landed)
    return (this.#landing ??= new Promise((resolve) => (this.#resolve = resolve)))
  }

  /** Waits for the landing; rejects with the signal's reason when that comes first. */
  async wait(signal: AbortSignal | null, timeout: number): Promise<Landing<T>> {
    signal?.throwIfAborted()
    this.waiting += 1
    if (this.waiting === 1) this.watcher?.wanted()
    let timer: Timer | undefined
    let abort: (() => void) | undefined
    try {
      const slow = new Promise<Landing<T>>((resolve, reject) => {
        timer = after(timeout, () => resolve({ kind: 'slow' }))
        abort = () => reject(signal?.reason)
        signal?.addEventListener('abort', abort, { once: true })
      })
      return await Promise.race([this.#landings(), slow])
    } finally {
      this.waiting -= 1
      clearTimeout(timer)
      if (abort) signal?.removeEventListener('abort', abort)
      if (this.waiting === 0 && this.#landed === null) this.watcher?.deserted()
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

  /** Starts a flight that others can join under this key, in place of one that is under way. */
  start(key: string, epoch: number, attempt = 0): Flight<T> {
    const flight = new Flight<T>(key, epoch, attempt, (landed) => {
      if (this.#flights.get(key) === landed) this.#flights.delete(key)
    })
    this.#flights.set(key, flight)
    return flight
  }
}
