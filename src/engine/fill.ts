/**
 * From the origin's body to the store: one fill writes one entry, then lands its flight.
 *
 * Rule 1: the flight lands when the entry can be read, or will never be; whoever waits is told which.
 * Rule 2: a fill that an invalidation overtook writes nothing, and takes back what it wrote meanwhile, however late that came to be stored.
 */
import { copyOf, inlineBody } from './bytes.ts'
import { StoreError } from '../errors.ts'
import type { Draft, Keeper } from './keeper.ts'
import { entryHead } from './keeper.ts'
import type { Effective, Exchange } from './exchange.ts'
import type { Events } from './events.ts'
import type { Fences } from './fences.ts'
import { BodyInterrupted, type Sink, type SinkAbandoned } from './live-body.ts'
import { isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import { merged } from '../policy/conditional.ts'
import { mayCombine } from '../policy/partial.ts'
import { combine, wholeHeaders } from './parts.ts'
import type { Pending } from './pending.ts'
import type { StoredEntry } from './ports.ts'
import type { ResponseEntry } from './reply.ts'
import type { Flight } from './single-flight.ts'
import type { Counters } from './stats.ts'
import type { StoreGuard } from './store-guard.ts'
import { fenceNames, type Tags } from './tags.ts'
import { quietlyAfter } from './timer.ts'

/** What a flight brings: an entry at hand, word to look it up in the store, or nothing that could be shared. */
export type Catch =
  | { readonly kind: 'entry'; readonly entry: ResponseEntry }
  | { readonly kind: 'stored' }
  | { readonly kind: 'nothing' }

const STORED: Catch = Object.freeze({ kind: 'stored' })

export interface FillTools {
  readonly guard: StoreGuard
  readonly keeper: Keeper
  readonly events: Events
  readonly counters: Counters
  readonly tags: Tags
  readonly fences: Fences
  readonly pending: Pending
  /** Milliseconds those who wait for a small body wait for its write. */
  readonly readTimeout: number
  /** Milliseconds a store may take to read on. */
  readonly writeTimeout: number
}

/** The longest part that is put together with others (it is held in memory for that). */
const MAX_PART = 16 * 1024 * 1024

export class Fill implements Sink {
  readonly inlineSize: number
  readonly maxSize: number
  readonly #tools: FillTools
  readonly #x: Exchange
  readonly #draft: Draft
  readonly #flight: Flight<Catch> | null
  /** What is under the primary key, or the parts the new one may join. */
  readonly #before: StoredEntry | undefined
  #refused: string | null = null
  #written = false
  #over = false
  #writing: Promise<void> | null = null

  constructor(
    tools: FillTools,
    x: Exchange,
    draft: Draft,
    flight: Flight<Catch> | null,
    before: StoredEntry | undefined,
  ) {
    const { limits } = tools.guard.store
    this.#tools = tools
    this.#x = x
    this.#draft = draft
    this.#flight = flight
    this.#before = before
    tools.fences.enter()
    this.maxSize = Math.min(x.effective.maxEntrySize, limits.maxEntrySize)
    this.inlineSize = Math.min(
      this.maxSize,
      draft.head.meta.parts === null ? limits.inlineSize : Math.max(limits.inlineSize, MAX_PART),
    )
  }

  get effective(): Effective {
    return this.#x.effective
  }

  /** RELIABILITY 65: the key or a tag of the entry was invalidated since the origin was asked. */
  #fenced(): boolean {
    const { fences } = this.#tools
    const { epoch, primary, head } = this.#draft
    return fences.epoch !== epoch && fences.overtook(epoch, fenceNames(primary, head.meta))
  }

  /** Nothing more will be written: fences need not be remembered on its account. */
  #leave(): void {
    if (this.#over) return
    this.#over = true
    this.#tools.fences.leave()
  }

  /** RELIABILITY 69: who lost its lease stores nothing. */
  async #mayStore(): Promise<boolean> {
    return (await this.#flight?.mayStore?.()) ?? true
  }

  whole(bytes: Uint8Array): void {
    if (this.#flight) this.#flight.storing = true
    const done = this.#storeWhole(bytes)
    if (isPromise(done)) this.#tools.pending.add(done.catch((error: unknown) => this.#failed(error)))
  }

  #storeWhole(bytes: Uint8Array): void | Promise<void> {
    const { filter } = this.#x.effective
    const { parts } = this.#draft.head.meta
    // At once, so that a memory store holds the entry before the caller has the body's end, and what else leads to it is being written.
    const atOnce = filter === null && parts === null && !this.#flight?.mayStore
    return atOnce ? this.#writeInline(this.#draft, bytes) : this.#storeWithCare(bytes)
  }

  async #storeWithCare(bytes: Uint8Array): Promise<void> {
    if (!(await this.#passesFilter(bytes))) return this.#refuse('filtered')
    if (!(await this.#mayStore())) return this.#refuse('lease-lost')
    const part = this.#draft.head.meta.parts?.[0]
    if (part === undefined) return this.#writeInline(this.#draft, bytes)
    if (part.last - part.first + 1 !== bytes.length) return this.#refuse('partial')
    return this.#writePart(bytes)
  }

  #writeInline(draft: Draft, bytes: Uint8Array): void | Promise<void> {
    if (this.#fenced()) return this.#refuse('invalidated')
    const { guard, keeper } = this.#tools
    const orphans = keeper.orphans(this.#before, draft)
    const late = (): void => void this.#afterWrite(draft, orphans)
    // Who waits for a lease to be given back finds the entry then.
    const gathered = !this.#flight?.mayStore
    const lost = (): void => this.#lost(bytes.length)
    const written = guard.write(draft.head, bytes, { background: true, gathered, late, lost })
    if (!isPromise(written) && !draft.varies && !draft.searches && orphans.length === 0)
      return this.#landed(draft, written, bytes)
    return this.#finishInline(draft, bytes, written, orphans)
  }

  async #finishInline(
    draft: Draft,
    bytes: Uint8Array,
    written: boolean | Promise<boolean>,
    orphans: string[],
  ): Promise<void> {
    const timer = quietlyAfter(this.#tools.readTimeout, () => this.#land(draft, bytes))
    const done = isPromise(written) ? await written : written
    clearTimeout(timer)
    if (done) await this.#afterWrite(draft, orphans)
    this.#landed(draft, done, bytes)
  }

  async #afterWrite(draft: Draft, orphans: string[]): Promise<void> {
    const { guard, keeper } = this.#tools
    if (!this.#fenced()) await keeper.index(draft)
    // Looked at last: what deletes the entry's key may have come before the entry, or before its row in the index.
    if (this.#fenced()) await this.#takeBack(draft.head)
    else if (orphans.length > 0) await guard.delete(orphans)
  }

  /** Unless what is there by now is newer. */
  async #takeBack({ key, createdAt }: Draft['head']): Promise<void> {
    const { guard } = this.#tools
    const there = await guard.readAnew(key)
    if (there === undefined || there.createdAt <= createdAt) await guard.delete([key])
  }

  #landed(draft: Draft, written: boolean, bytes: Uint8Array | null): void {
    const reason = !written ? 'store-failed' : this.#fenced() ? 'invalidated' : null
    if (reason === null) this.#stored(draft, bytes?.length ?? 0)
    this.#written = written
    this.#leave()
    if (bytes !== null) this.#land(draft, bytes)
    else this.#flight?.land(written ? STORED : { kind: 'nothing' })
    if (reason !== null) this.#refuse(reason)
  }

  /** It was told as stored, and gathered with others to be written: that has failed. */
  #lost(size: number): void {
    // An invalidation had its say first: then it does not count as stored.
    if (this.#refused !== null) return
    const { counters } = this.#tools
    counters.stored -= 1
    counters.bytesStored -= size
    this.#refuse('store-failed')
  }

  /** A small body is shared from memory: with a store that takes long, before it is written. */
  #land(draft: Draft, bytes: Uint8Array): void {
    const flight = this.#flight
    if (flight === null) return
    // Nobody who has not joined by now will be told: nothing need be made for them.
    flight.land(flight.waiting === 0 ? STORED : { kind: 'entry', entry: entryAtHand(draft, bytes) })
  }

  #stored(draft: Draft, size: number): void {
    const { events, counters } = this.#tools
    counters.stored += 1
    counters.bytesStored += size
    const { request } = this.#x
    if (events.wants('stored')) {
      events.emit({
        type: 'stored',
        key: draft.head.key,
        url: draft.head.meta.url,
        method: request.method,
        reason: draft.head.meta.terms.source,
        size,
      })
    }
  }

  /** A part joins the stored ones, or replaces them; all parts together become the whole entry. */
  async #writePart(bytes: Uint8Array): Promise<void> {
    const { meta } = this.#draft.head
    const part = meta.parts?.[0]
    const before = this.#before?.meta.kind === 'response' ? (this.#before as ResponseEntry) : null
    const joins = before !== null && before.meta.parts !== null && mayCombine(before.meta, meta)
    if (part === undefined || !joins) return this.#writeInline(this.#draft, bytes)
    const combined = combine(before.meta, before.body, { ...part, total: meta.total }, bytes)
    if (combined.size > this.maxSize) return this.#writeInline(this.#draft, bytes)
    const { total } = combined
    // The primary key answers whoever asks: what varies stays parts, which are compared (lookup.ts).
    const complete = combined.complete && meta.selecting.length === 0
    const key = complete ? this.#draft.primary : meta.key
    // RFC 9110 section 15.3.7.3: fields that the new part left out are those of the stored ones.
    const headers = merged(before.meta.headers, meta.headers)
    const joined = trust(
      complete && total !== null
        ? {
            ...meta,
            key,
            status: 200,
            statusText: 'OK',
            headers: wholeHeaders(headers, total),
            parts: null,
            total: null,
          }
        : { ...meta, headers, parts: combined.parts, total },
    )
    const draft: Draft = { ...this.#draft, head: entryHead(joined) }
    await this.#writeStream(draft, combined.open())
    if (complete) await this.#tools.guard.delete([meta.key])
  }

  stream(body: ReadableStream<Uint8Array>): Promise<void> {
    this.#writing = this.#storeStream(body).catch((error: unknown) => this.#failed(error))
    return this.#writing
  }

  ended(): void {
    if (this.#flight) this.#flight.storing = true
    if (this.#writing !== null) this.#tools.pending.add(this.#writing)
  }

  async #storeStream(body: ReadableStream<Uint8Array>): Promise<void> {
    if (this.#x.effective.filter !== null && !(await this.#passesFilter(null))) {
      this.#refuse('filtered')
      return body.cancel()
    }
    await this.#writeStream(this.#draft, body)
  }

  async #writeStream(draft: Draft, body: ReadableStream<Uint8Array>): Promise<void> {
    if (this.#fenced()) {
      this.#refuse('invalidated')
      return body.cancel()
    }
    const guarded = this.#flight?.mayStore ? endingOnly(body, () => this.#mayStore()) : body
    const written = await this.#tools.guard.write(draft.head, guarded, { isOwnFailure })
    if (!written && !guarded.locked) await guarded.cancel()
    if (written) await this.#afterWrite(draft, this.#tools.keeper.orphans(this.#before, draft))
    this.#landed(draft, written, null)
  }

  async #passesFilter(bytes: Uint8Array | null): Promise<boolean> {
    const { filter } = this.#x.effective
    if (filter === null) return true
    const { status, statusText, headers, url, method } = this.#draft.head.meta
    return await filter({
      status,
      statusText,
      headers,
      url,
      method,
      fromCache: false,
      body: async () => (bytes === null ? null : copyOf(bytes)),
    })
  }

  abandon(reason: SinkAbandoned): void {
    // Who waits may have the whole of it yet: one of them leads anew (RELIABILITY 62).
    if (reason === 'interrupted') this.#flight?.fail(new BodyInterrupted('the body was interrupted'))
    if (reason === 'stalled') this.#report('ERR_STORE_TIMEOUT', `did not read on for ${this.#tools.writeTimeout} ms`)
    if (reason === 'store-failed' && this.#written) this.#unwrite()
    this.#refuse(reason)
  }

  /** RELIABILITY 34: what the store failed to do shows nowhere but here. */
  #report(code: 'ERR_STORE_TIMEOUT' | 'ERR_STORE_FAILED', what: string): void {
    const { guard } = this.#tools
    guard.report('write', this.#draft.head.key, new StoreError(code, `the ${guard.store.name} store ${what}`))
  }

  /** A store that says it is done before it has read the end has a part of the body at best. */
  #unwrite(): void {
    this.#report('ERR_STORE_FAILED', 'said it had written a body that it had not read to its end')
    void this.#tools.guard.delete([this.#draft.head.key])
  }

  /** Why nothing is stored; null while something is or may be. */
  get refused(): string | null {
    return this.#refused
  }

  #refuse(reason: string): void {
    if (this.#refused !== null) return
    this.#refused = reason
    this.#leave()
    this.#tools.counters.refused += 1
    const { events } = this.#tools
    const { key, meta } = this.#draft.head
    if (events.wants('refused')) events.emit({ type: 'refused', key, url: meta.url, method: meta.method, reason })
    this.#flight?.land({ kind: 'nothing' })
  }

  /** The user's filter threw, or a tool of ours did: the entry is lost, the response is not. */
  #failed(error: unknown): void {
    this.#tools.guard.report('filter', this.#draft.head.key, error)
    this.#refuse('failed')
  }
}

/** The origin broke off, or the lease was lost: nothing is wrong with the store. */
function isOwnFailure(error: unknown): boolean {
  return error instanceof BodyInterrupted
}

/** A stream that ends only if `may` says so; else it fails, and what was written of it never becomes an entry. */
function endingOnly(body: ReadableStream<Uint8Array>, may: () => Promise<boolean>): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
        if (await may()) controller.close()
        else controller.error(new BodyInterrupted('the lease was lost'))
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** An entry as a reader would find it, made from what was just written. */
function entryAtHand(draft: Draft, bytes: Uint8Array): ResponseEntry {
  return { ...draft.head, version: 0, body: inlineBody(bytes) }
}
