/**
 * Single-flight between processes, on stores that can lock (feature B11; RELIABILITY 69, 153, 154).
 *
 * Rule 1: who has the lease asks the origin and stores; the others look into the store until it is there.
 * Rule 2: a lease is renewed while its flight is under way and given back when it lands. A holder that dies costs the others at
 *   most what is left of its lease.
 * Rule 3: who lost its lease (it was paused, or the store was away) stores nothing: another may have stored something newer.
 * Rule 4: where the holder's answer could not be shared, the others go to the origin side by side, not one behind the other.
 * Rule 5: nobody waits longer than `patience`, and a store that fails to lock costs nothing but the single-flight.
 */
import type { TagMark } from '../policy/decision.ts'
import { trust } from './meta.ts'
import type { Clock } from './ports.ts'
import type { StoreGuard } from './store-guard.ts'
import { LONGEST_WAIT, quiet } from './timer.ts'

const FIRST_LOOK = 5
const LONGEST_PAUSE = 200
/** How long (ms) word of an answer that could not be shared is kept for others. */
const WORD_KEPT = 5000

export interface LeaseOptions {
  /** How long a lease runs when its holder says nothing more, in ms. */
  readonly lease: number
  /** How long to wait for another's, in ms. */
  readonly patience: number
}

/** What came of wanting a lease: the lease, another's result, or neither. */
export type Taken<T> =
  | { readonly kind: 'mine'; readonly lease: Lease }
  | { readonly kind: 'answered'; readonly value: T }
  /** The store cannot lock now, the wait was too long, or the answer is one that cannot be shared. */
  | { readonly kind: 'alone' }

const ALONE = { kind: 'alone' } as const

export class Lease {
  readonly #guard: StoreGuard
  readonly #name: string
  readonly #owner: string
  readonly #length: number
  #held = true
  #timer: ReturnType<typeof setInterval>

  constructor(guard: StoreGuard, name: string, owner: string, length: number) {
    this.#guard = guard
    this.#name = name
    this.#owner = owner
    this.#length = length
    this.#timer = quiet(setInterval(() => void this.confirm(), Math.min(length / 3, LONGEST_WAIT)))
  }

  /** Whether the lease is still this process's; it then runs anew. */
  async confirm(): Promise<boolean> {
    if (!this.#held) return false
    if (await this.#guard.renew(this.#name, this.#owner, this.#length)) return this.#held
    this.#held = false
    clearInterval(this.#timer)
    return false
  }

  /** Gives it back; `shareable`: whether what came of it is in the store for the others. */
  async release(shareable: boolean): Promise<void> {
    clearInterval(this.#timer)
    if (!this.#held) return
    this.#held = false
    if (!shareable) await leaveWord(this.#guard, this.#name)
    await this.#guard.unlock(this.#name, this.#owner)
  }
}

export class Leases {
  readonly #guard: StoreGuard
  readonly #clock: Clock
  readonly #options: LeaseOptions

  constructor(guard: StoreGuard, clock: Clock, options: LeaseOptions) {
    this.#guard = guard
    this.#clock = clock
    this.#options = options
  }

  /** The lease, if nobody has it. */
  async tryTake(name: string): Promise<Lease | 'taken' | 'failed'> {
    const owner = crypto.randomUUID()
    const taken = await this.#guard.lock(name, owner, this.#options.lease)
    if (taken === null) return 'failed'
    return taken ? new Lease(this.#guard, name, owner, this.#options.lease) : 'taken'
  }

  /**
   * The lease, or what its holder left in the store meanwhile.
   * @param look what is in the store for this request; null: nothing yet
   * @throws the signal's reason
   */
  async take<T>(name: string, signal: AbortSignal | null, look: () => Promise<T | null>): Promise<Taken<T>> {
    let waited = 0
    let pause = FIRST_LOOK
    for (;;) {
      const lease = await this.tryTake(name)
      if (lease === 'failed') return ALONE
      // Looked at under the lease, too: its last holder may have stored it since.
      const value = await look().catch(async (error: unknown) => {
        if (typeof lease === 'object') await lease.release(true)
        throw error
      })
      if (value !== null) {
        if (lease !== 'taken') await lease.release(true)
        return { kind: 'answered', value }
      }
      if (lease !== 'taken') return waited > 0 && (await this.#wordLeft(name)) ? alone(lease) : { kind: 'mine', lease }
      if (waited >= this.#options.patience) return ALONE
      await sleep(pause, signal)
      waited += pause
      pause = Math.min(pause * 2, LONGEST_PAUSE)
    }
  }

  async #wordLeft(name: string): Promise<boolean> {
    const word = await this.#guard.read(wordKey(name))
    return word?.meta.kind === 'mark' && Math.abs(this.#clock.now() - word.meta.at) < WORD_KEPT
  }
}

async function alone(lease: Lease): Promise<typeof ALONE> {
  await lease.release(true)
  return ALONE
}

/** Rule 4: a mark that says so to whoever waited. */
async function leaveWord(guard: StoreGuard, name: string): Promise<void> {
  const key = wordKey(name)
  const now = guard.clock.now()
  const meta = trust<TagMark>({ kind: 'mark', key, at: now, mode: 'stale' })
  const until = now + WORD_KEPT
  await guard.write({ key, meta, createdAt: now, expiresAt: until, keepUntil: until }, new Uint8Array())
}

function wordKey(name: string): string {
  return `unshareable\n${name}`
}

function sleep(ms: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}
