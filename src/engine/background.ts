/**
 * Revalidation in the background (RFC 5861 section 3): one flight a key; a failure is an event and makes the next attempt wait
 * (RELIABILITY 63, 64).
 */
import { conditionsFor } from '../policy/conditional.ts'
import type { Backoff } from './backoff.ts'
import type { Events } from './events.ts'
import type { Exchange, Reply } from './exchange.ts'
import type { Catch } from './fill.ts'
import type { Found } from './lookup.ts'
import type { AskingPlan } from './passing.ts'
import type { Flight, SingleFlight } from './single-flight.ts'

/** What asks the origin: the forwarder. */
interface Leader {
  lead(x: Exchange, key: string, found: Found, plan: AskingPlan, flight: Flight<Catch> | null): Promise<Reply>
}

export class Background {
  readonly #events: Events
  readonly #backoff: Backoff
  readonly #leader: Leader

  constructor(events: Events, backoff: Backoff, leader: Leader) {
    this.#events = events
    this.#backoff = backoff
    this.#leader = leader
  }

  /** The flight of a revalidation; null: one is under way, or the last one failed a moment ago. */
  start(key: string, flights: SingleFlight<Catch>, epoch: number): Flight<Catch> | null {
    return flights.get(key) !== undefined || !this.#backoff.mayTry(key) ? null : flights.start(key, epoch)
  }

  /** Revalidates for a flight that `start` gave. */
  refresh(
    x: Exchange,
    key: string,
    found: Found,
    flight: Flight<Catch>,
    reason: 'stale' | 'refresh-ahead' = 'stale',
  ): void {
    const conditions = found.entry === null ? [] : conditionsFor(found.entry.meta)
    const plan: AskingPlan = { kind: 'revalidate', reason, conditions, onError: 'fail' }
    const headers = x.request.headers.filter(([name]) => name !== 'range' && !name.startsWith('if-'))
    const origin = x.refreshOrigin ?? x.origin
    const background: Exchange = {
      ...x,
      // What a route further in says once its handler runs.
      get effective() {
        return x.effective
      },
      origin,
      request: { ...x.request, headers },
      signal: null,
    }
    this.#leader.lead(background, key, found, plan, flight).then(
      (reply) => this.#finish(x, key, reply),
      (error: unknown) => this.failed(x, key, error),
    )
  }

  succeeded(key: string): void {
    this.#backoff.succeeded(key)
  }

  async #finish(x: Exchange, key: string, reply: Reply): Promise<void> {
    try {
      if (reply.body?.repeatable) reply.body.leave(undefined)
      else if (reply.body) {
        // Nobody reads it but the store: its bytes are let go as they come, and the rest is left once nothing will be stored of it.
        for await (const chunk of reply.body.stream()) {
          void chunk
          if (!reply.info.stored) break
        }
      }
      if (reply.head.status >= 500) throw new Error(`the origin answered ${reply.head.status}`)
      this.#backoff.succeeded(key)
    } catch (error) {
      this.failed(x, key, error)
    }
  }

  /** Tells of a refresh that failed, and makes the next one wait. */
  failed(x: Exchange, key: string, error: unknown): void {
    this.#backoff.failed(key)
    const { method, url } = x.request
    this.#events.emit({ type: 'refresh-failed', key, url: x.redactUrl(url), method, error })
  }
}
