/**
 * Leases: a file each with the owner and the instant at which the lease ends, changed only under its mutex.
 *
 * A lease that has ended is as good as none: the next one takes its place. Files of ended leases are collected with other leftovers.
 */
import type { Clock } from '../engine/ports.ts'
import { digestOf, newId, type Layout } from './file-layout.ts'
import type { Mutexes } from './file-mutex.ts'
import type { Files } from './file-system.ts'

interface Lease {
  readonly owner: string
  readonly until: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Leases {
  readonly #files: Files
  readonly #layout: Layout
  readonly #mutexes: Mutexes
  readonly #clock: Clock

  constructor(files: Files, layout: Layout, mutexes: Mutexes, clock: Clock) {
    this.#files = files
    this.#layout = layout
    this.#mutexes = mutexes
    this.#clock = clock
  }

  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    // Those who wait ask often: while a lease runs, that takes no mutex.
    if ((await this.#held(this.#layout.lock(fileOf(name)))) !== null) return false
    return this.#change(name, async (path, held) => {
      if (held !== null) return false
      await this.#put(path, { owner, until: this.#clock.now() + lease })
      return true
    })
  }

  renew(name: string, owner: string, lease: number): Promise<boolean> {
    return this.#change(name, async (path, held) => {
      if (held?.owner !== owner) return false
      await this.#put(path, { owner, until: this.#clock.now() + lease })
      return true
    })
  }

  unlock(name: string, owner: string): Promise<boolean> {
    return this.#change(name, async (path, held) => held?.owner === owner && (await this.#files.remove(path)))
  }

  /** Removes a file of leases, named `file`, if its lease ended before `before`. */
  async collect(file: string, before: number): Promise<void> {
    const path = this.#layout.lock(file)
    await this.#mutexes.run(file, async () => {
      const lease = leaseIn(await this.#files.load(path))
      if (lease === null || lease.until < before) await this.#files.remove(path)
    })
  }

  /** `held`: the lease that is running now. */
  #change(name: string, action: (path: string, held: Lease | null) => Promise<boolean>): Promise<boolean> {
    const file = fileOf(name)
    const path = this.#layout.lock(file)
    return this.#mutexes.run(file, async (check) => {
      const held = await this.#held(path)
      check()
      return action(path, held)
    })
  }

  async #held(path: string): Promise<Lease | null> {
    const lease = leaseIn(await this.#files.load(path))
    return lease !== null && lease.until > this.#clock.now() ? lease : null
  }

  async #put(path: string, lease: Lease): Promise<void> {
    const draft = this.#layout.lock(`${newId()}.tmp`)
    await this.#files.save(draft, encoder.encode(JSON.stringify(lease)), false)
    try {
      await this.#files.rename(draft, path)
    } catch (error) {
      await this.#files.discard(draft)
      throw error
    }
  }
}

function fileOf(name: string): string {
  return `${digestOf(name)}.lease`
}

/** What is no lease is as good as none. */
function leaseIn(bytes: Uint8Array | null): Lease | null {
  if (bytes === null) return null
  try {
    const { owner, until } = Object(JSON.parse(decoder.decode(bytes))) as Partial<Record<keyof Lease, unknown>>
    return typeof owner === 'string' && typeof until === 'number' ? { owner, until } : null
  } catch {
    return null
  }
}
