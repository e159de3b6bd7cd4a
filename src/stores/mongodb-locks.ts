/**
 * Leases, in a collection of their own: { _id: SHA-256 of the name, name, owner, until, term, gone: Date }.
 *
 * 1. To take a free one is to insert it: of many who do, every server lets one.
 * 2. To take one that has ended is to claim its succession, which is to insert { _id: 'SHA-256:term' }, and then to replace it. MongoDB
 *    would not need the claim; FerretDB 1, which looks and then writes, would let several replace one lease.
 * 3. Instants are by the server's clock, which is asked for once a minute: machines whose clocks differ do not end each other's
 *    leases early.
 */
import { keyHash } from './key-hash.ts'
import type { MongoConnection } from './mongodb-connection.ts'
import { freshId } from './mongodb-document.ts'
import type { Document } from './mongodb-driver.ts'
import { isDuplicate } from './mongodb-errors.ts'

/** How long the server's clock is gone by without asking it again, in ms. */
const ASKED_AGAIN = 60_000
/** Clocks that differ by less are the same, in ms. */
const TOLERANCE = 10
/** Ended leases that nobody gave back are removed once in so many locks. */
const SWEEP = 1000
/** How long ago, in ms: nobody is about to succeed them any more. */
const LONG_AGO = 60_000

export class MongoLocks {
  readonly #connection: MongoConnection
  #asking: Promise<void> | null = null
  #askedAt = -Infinity
  /** How far the server's clock is ahead of ours, in ms. */
  #ahead = 0
  #taken = 0

  constructor(connection: MongoConnection) {
    this.#connection = connection
  }

  async take(name: string, owner: string, lease: number): Promise<boolean> {
    const now = await this.#now()
    if (this.#taken++ % SWEEP === SWEEP - 1) {
      await this.#connection.ask(({ locks }) => locks.deleteMany({ until: { $lte: now - LONG_AGO } }))
    }
    const id = keyHash(name)
    const wanted = { _id: id, ...textOf(name), owner, ...ending(now, lease), term: freshId() }
    if (await this.#insert(wanted)) return true
    const held = await this.#connection.ask(({ locks }) => locks.findOne({ _id: id }))
    if (held === null) return this.#insert(wanted)
    return hasEnded(held, now) && this.#succeed(held, wanted, now)
  }

  async #succeed(held: Document, { _id, ...wanted }: Document, now: number): Promise<boolean> {
    const claim = `${String(_id)}:${String(held['term'])}`
    if (!(await this.#insert({ _id: claim, until: wanted['until'], gone: wanted['gone'] }))) {
      // Somebody else is about to succeed; or was, and died: then it ends as leases do.
      await this.#connection.ask(({ locks }) => locks.deleteOne({ _id: claim, until: { $lte: now } }))
      return false
    }
    const { matchedCount } = await this.#connection.ask(({ locks }) =>
      locks.updateOne({ _id, term: held['term'], until: held['until'] }, { $set: wanted }),
    )
    await this.#connection.ask(({ locks }) => locks.deleteOne({ _id: claim }))
    return matchedCount === 1
  }

  async #insert(document: Document): Promise<boolean> {
    try {
      await this.#connection.ask(({ locks }) => locks.insertOne(document))
      return true
    } catch (error) {
      if (error instanceof Error && isDuplicate(error.cause)) return false
      throw error
    }
  }

  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    const now = await this.#now()
    const held = { _id: keyHash(name), owner, until: { $gt: now } }
    const { matchedCount } = await this.#connection.ask(({ locks }) =>
      locks.updateOne(held, { $set: ending(now, lease) }),
    )
    return matchedCount === 1
  }

  async drop(name: string, owner: string): Promise<boolean> {
    const { deletedCount } = await this.#connection.ask(({ locks }) => locks.deleteOne({ _id: keyHash(name), owner }))
    return deletedCount === 1
  }

  async #now(): Promise<number> {
    if (performance.now() - this.#askedAt > ASKED_AGAIN) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null
      })
      await this.#asking
    }
    return Date.now() + this.#ahead
  }

  /** Clocks that agree as far as the time of the answer tells are taken to be right: a slow answer must not set one wrong. */
  async #ask(): Promise<void> {
    const before = Date.now()
    const { localTime } = await this.#connection.ask(({ database }) => database.command({ hello: 1 }))
    const after = Date.now()
    const ahead = localTime instanceof Date ? localTime.getTime() - Math.round((before + after) / 2) : 0
    this.#ahead = Math.abs(ahead) <= (after - before) / 2 + TOLERANCE ? 0 : ahead
    this.#askedAt = performance.now()
  }
}

function ending(now: number, lease: number): { until: number; gone: Date } {
  return { until: now + lease, gone: new Date(now + lease) }
}

function hasEnded({ until }: Document, now: number): boolean {
  return typeof until !== 'number' || until <= now
}

/** For people who look; nothing reads it. */
function textOf(name: string): { name: string } {
  return { name: name.toWellFormed() }
}
