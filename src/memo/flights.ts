/**
 * Calls of the function under way, one a key (RELIABILITY 59-65, 72).
 *
 * Unlike a request, a call belongs to nobody: it runs by itself, and who asked waits for it, the first as well as those who came later.
 *
 * Rule 1: who aborts leaves; the others wait on. When the last has left, the call is abandoned: its signal is aborted, it is gone from the table,
 *         and what it brings after that is dropped.
 * Rule 2: an invalidation fences a flight: it still lands for those who wait, but what it brings is not kept.
 * Rule 3: a flight is gone from the table the moment it has landed: nothing accumulates.
 * Rule 4: where an invalidation of tags may be about a flight, it can be joined no more, but what it brings may still be kept: it is told of all
 *         invalidations that follow, and is fenced as soon as another that is to be kept begins for its key.
 * Rule 5: a flight for those who keep nothing takes no other's place; it is kept as soon as one joins it who keeps what comes.
 */
import type { Run } from './context.ts'
import type { Id } from './entry.ts'

export class Flight<V> {
  readonly id: Id
  readonly run: Run
  /** How many calls failed before this one: bounds what followers try again to once (RELIABILITY 62). */
  readonly attempt: number
  readonly promise: Promise<V>
  /** What it brings is not kept. */
  fenced = false
  /** It goes on although nobody waits: a renewal in the background, or a caller that cannot leave. */
  held = false
  /** Nobody asked for it: a renewal. */
  background = false
  /** Somebody who waits wants it kept. */
  kept = true
  /** There may be an older value, which is the value no longer once this one has come. */
  over = false
  /** Everybody left, or the time was up: nobody hears how the call ends. */
  abandoned = false
  /** Its failure is everybody's: it was kept in place of a value, or the time was up. Nobody tries again. */
  final = false
  /** The tags its value will have; null where they depend on the value. */
  readonly #tags: readonly string[] | null
  readonly #table: Flights<V>
  #waiting = 0
  #settled = false
  #redeemed = false
  #struck: Set<string> | null = null
  #resolve: (value: V) => void = ignore
  #reject: (error: unknown) => void = ignore

  constructor(table: Flights<V>, id: Id, run: Run, attempt: number, tags: readonly string[] | null) {
    this.#table = table
    this.id = id
    this.run = run
    this.attempt = attempt
    this.#tags = tags
    this.promise = new Promise<V>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get settled(): boolean {
    return this.#settled
  }

  /** The call that began it was answered from the cache after all. False: that was known. */
  redeem(): boolean {
    const isNews = !this.#redeemed
    this.#redeemed = true
    return isNews
  }

  land(value: V): void {
    if (!this.#settle()) return
    this.#resolve(value)
  }

  fail(error: unknown): void {
    if (!this.#settle()) return
    this.#reject(error)
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#table.remove(this)
    return true
  }

  /** Nobody waits any more, or the time is up. */
  abandon(reason: unknown): void {
    this.fenced = true
    this.abandoned = true
    this.fail(reason)
    if (this.#table.allGone(this.run)) this.run.abort(reason)
  }

  /** These tags are invalidated while it is under way. False: none of them can be its own, and it may still be joined. */
  strike(tags: readonly string[]): boolean {
    if (this.#tags !== null) return (this.fenced ||= tags.some((tag) => this.#tags?.includes(tag)))
    this.#struck ??= new Set()
    for (const tag of tags) this.#struck.add(tag)
    return true
  }

  /** Whether one of these tags was invalidated while it was under way. */
  isStruck(tags: readonly string[]): boolean {
    const struck = this.#struck
    return struck !== null && tags.some((tag) => struck.has(tag))
  }

  /** Waits for the landing, or until the signal says so; `left` is told of that. */
  join(signal: AbortSignal | undefined, left?: () => void): Promise<V> {
    if (signal === undefined) {
      this.held = true
      return this.promise
    }
    if (signal.aborted) return Promise.reject(signal.reason)
    this.#waiting += 1
    return new Promise<V>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting -= 1
        reject(signal.reason)
        left?.()
        if (this.#waiting === 0 && !this.held && !this.#settled) this.abandon(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      const stay = (): void => signal.removeEventListener('abort', leave)
      this.promise.then(
        (value) => (stay(), resolve(value)),
        (error: unknown) => (stay(), reject(error)),
      )
    })
  }
}

/** Until the promise has given its own. */
function ignore(): void {
  // Nothing is under way yet.
}

export class Flights<V> {
  readonly #flights = new Map<Id, Flight<V>>()
  /** Rule 4: under way, but not to be joined; one a key, since the next one fences it. */
  readonly #struck = new Map<Id, Flight<V>>()
  /** How many flights of a batch are under way: its signal is for all of them. */
  readonly #ofRun = new Map<Run, number>()

  get size(): number {
    return this.#flights.size
  }

  get(id: Id): Flight<V> | undefined {
    return this.#flights.get(id)
  }

  /** It takes the place of one that was fenced. @param keep false: who asks keeps nothing */
  start(id: Id, run: Run, attempt: number, tags: readonly string[] | null, keep: boolean): Flight<V> {
    const flight = new Flight<V>(this, id, run, attempt, tags)
    flight.kept = keep
    if (keep) this.#fenceStruck(id)
    if (keep || !this.#flights.has(id)) this.#flights.set(id, flight)
    if (run.ids.length > 1) this.#ofRun.set(run, (this.#ofRun.get(run) ?? 0) + 1)
    return flight
  }

  /** Who joins it wants it kept. */
  keep(flight: Flight<V>): void {
    if (flight.kept) return
    flight.kept = true
    this.#fenceStruck(flight.id)
  }

  remove(flight: Flight<V>): void {
    if (this.#flights.get(flight.id) === flight) this.#flights.delete(flight.id)
    if (this.#struck.get(flight.id) === flight) this.#struck.delete(flight.id)
    if (this.#ofRun.size === 0) return
    const left = (this.#ofRun.get(flight.run) ?? 1) - 1
    if (left === 0) this.#ofRun.delete(flight.run)
    else this.#ofRun.set(flight.run, left)
  }

  allGone(run: Run): boolean {
    return !this.#ofRun.has(run)
  }

  fence(id: Id): void {
    this.#fenceStruck(id)
    const flight = this.#flights.get(id)
    if (flight === undefined) return
    flight.fenced = true
    this.#flights.delete(id)
  }

  #fenceStruck(id: Id): void {
    const flight = this.#struck.get(id)
    if (flight === undefined) return
    flight.fenced = true
    this.#struck.delete(id)
  }

  fenceAll(): void {
    for (const flight of this.#flights.values()) flight.fenced = true
    for (const flight of this.#struck.values()) flight.fenced = true
    this.#flights.clear()
    this.#struck.clear()
  }

  /** Who asks after an invalidation must not be answered with what was asked before it: what may carry one of the tags is not joined any more. */
  strike(tags: readonly string[]): void {
    for (const flight of this.#struck.values()) flight.strike(tags)
    for (const [id, flight] of this.#flights) {
      if (!flight.strike(tags)) continue
      this.#flights.delete(id)
      if (!flight.fenced) this.#struck.set(id, flight)
    }
  }
}
