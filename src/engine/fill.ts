/**
 * From the origin's body to the store: one fill writes one entry, then lands its flight.
 *
 * Rule 1: the flight lands when the entry can be read, or will never be; whoever waits is told which.
 * Rule 2: a fill that an invalidation overtook writes nothing, and takes back what it wrote meanwhile, however late that came to be stored.
 * Rule 3: what is kept of a body that was cut is recorded as incomplete (cut.ts), and counts as refused: nobody is answered from it.
 */
import type { HeaderList } from '../http/message.ts'
import { copyOf, inlineBody } from './bytes.ts'
import { StoreError } from '../errors.ts'
import { endingOnly } from './ending-only.ts'
import type { Draft, Keeper } from './keeper.ts'
import { entryHead } from './keeper.ts'
import type { Effective, Exchange } from './exchange.ts'
import type { Events } from './events.ts'
import type { Fences } from './fences.ts'
import { BodyInterrupted, type Sink, type SinkAbandoned } from './live-body.ts'
import { chain, isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import { merged } from '../policy/conditional.ts'
import type { Part, ResponseMeta } from '../policy/decision.ts'
import { isOutdatedBy, lengthOf, lengthOfAll, mayCombine } from '../policy/partial.ts'
import { incomplete, mayTakeItsPlace, measured, type Cuttable } from './cut.ts'
import { joined, type Piece } from './joined.ts'
import { combine, wholeHeaders } from './parts.ts'
import type { Pending } from './pending.ts'
import type { MaybePromise, StoredEntry } from './ports.ts'
import type { ResponseEntry } from './reply.ts'
import type { Flight } from './single-flight.ts'
import type { Counters } from './stats.ts'
import type { StoreGuard } from './store-guard.ts'
import { isOvertaken, type Tags } from './tags.ts'
import { quietlyAfter } from './timer.ts'

/** What a flight brings: an entry at hand, word to look it up in the store, what arrived of it to go on from, or nothing that could be shared. */
export type Catch =
  | { readonly kind: 'entry'; readonly entry: ResponseEntry }
  | { readonly kind: 'stored' }
  | { readonly kind: 'part' }
  | { readonly kind: 'nothing' }

const STORED: Catch = Object.freeze({ kind: 'stored' })
const PART: Catch = Object.freeze({ kind: 'part' })

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

export class Fill implements Sink {
  readonly inlineSize: number
  readonly maxSize: number
  readonly #tools: FillTools
  readonly #x: Exchange
  readonly #draft: Draft
  readonly #flight: Flight<Catch> | null
  /** What was under the primary key when the origin was asked. */
  readonly #before: StoredEntry | undefined
  readonly #cuttable: Cuttable | null
  /** Bytes that had arrived when it was cut. */
  #cut: number | null = null
  /** Bytes of a long body that has ended. */
  #received = 0
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
    cuttable: Cuttable | null,
  ) {
    const { limits } = tools.guard.store
    this.#tools = tools
    this.#x = x
    this.#flight = flight
    this.#before = before
    this.#cuttable = cuttable
    tools.fences.enter()
    this.maxSize = Math.min(x.effective.maxEntrySize, limits.maxEntrySize)
    this.inlineSize = Math.min(this.maxSize, limits.inlineSize)
    const streams = cuttable !== null && cuttable.length > this.inlineSize && draft.head.meta.parts === null
    this.#draft = streams ? measured(draft, cuttable.length) : draft
  }

  get effective(): Effective {
    return this.#x.effective
  }

  /** RELIABILITY 65: what came first since the origin was asked: a later answer under its key, or an invalidation of it. Null: nothing. */
  #overtaken(): 'superseded' | 'invalidated' | null {
    const { epoch, primary, head } = this.#draft
    if (this.#isOutrun()) return 'superseded'
    return isOvertaken(this.#tools.fences, epoch, primary, head.meta) ? 'invalidated' : null
  }

  /** Parts join others, whichever comes first. */
  #isOutrun(): boolean {
    const { head, order } = this.#draft
    return head.meta.parts === null && this.#tools.fences.isOutrun(head.key, order)
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
    // At once, so that a memory store holds the entry before the caller has the body's end, and what else leads to it is being written.
    const atOnce = this.#x.effective.filter === null && !this.#flight?.mayStore
    return atOnce ? this.#write(bytes) : this.#storeWithCare(bytes)
  }

  async #storeWithCare(bytes: Uint8Array): Promise<void> {
    if (!(await this.#passesFilter(bytes))) return this.#refuse('filtered')
    if (!(await this.#mayStore())) return this.#refuse('lease-lost')
    return this.#write(bytes)
  }

  #write(bytes: Uint8Array): void | Promise<void> {
    const part = this.#draft.head.meta.parts?.[0]
    if (part === undefined) return this.#writeInline(this.#draft, bytes)
    if (lengthOf(part) !== bytes.length) return this.#refuse('partial')
    return chain(this.#there(), (there) => {
      const target = this.#target(part, there, atHand(bytes))
      if (target === null) return this.#refuse('partial')
      return target.alone ? this.#writeInline(target.draft, bytes) : this.#writeStream(target.draft, target.open())
    })
  }

  /** What is under the key of the entry by now: another may have written it since. */
  #there(): MaybePromise<StoredEntry | undefined> {
    return this.#tools.guard.readAnew(this.#draft.head.key)
  }

  #writeInline(draft: Draft, bytes: Uint8Array): void | Promise<void> {
    const overtaken = this.#overtaken()
    if (overtaken !== null) return this.#refuse(overtaken)
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
    if (this.#overtaken() === null) await keeper.index(draft)
    // Looked at last: what deletes the entry's key may have come before the entry, or before its row in the index.
    if (this.#overtaken() !== null) await this.#takeBack(draft.head)
    else if (orphans.length > 0) await guard.delete(orphans)
  }

  /** Unless what is there by now is newer. */
  async #takeBack({ key, createdAt }: Draft['head']): Promise<void> {
    const { guard } = this.#tools
    const there = await guard.readAnew(key)
    if (there === undefined || there.createdAt <= createdAt) await guard.delete([key])
  }

  #landed(draft: Draft, written: boolean, bytes: Uint8Array | null): void {
    const reason = written ? this.#overtaken() : 'store-failed'
    if (reason === null) this.#stored(draft, bytes?.length ?? this.#sizeOf(draft.head.meta))
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

  /** Of a body that was written as a stream. */
  #sizeOf({ parts, total }: ResponseMeta): number {
    return parts === null ? (total ?? this.#received) : lengthOfAll(parts)
  }

  #stored(draft: Draft, size: number): void {
    const { counters, events, fences } = this.#tools
    if (draft.head.meta.parts === null) fences.wrote(draft.head.key, draft.order)
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

  /** A part joins the stored ones, or replaces them; all parts together become the whole entry. Null: there is a whole already, or others. */
  #target(part: Part, there: StoredEntry | undefined, fresh: Omit<Piece, 'length'>): Target | null {
    const { meta } = this.#draft.head
    const isAll = meta.total !== null && lengthOf(part) === meta.total
    const alone = {
      draft: isAll ? this.#draftOf(whole(meta, meta.headers, meta.total)) : incomplete(this.#draft, [part], meta.total),
      alone: true,
      open: () => joined([{ ...fresh, length: lengthOf(part) }]),
    }
    if (there === undefined || there.meta.kind !== 'response') return there?.meta.kind === 'variants' ? null : alone
    const stored = there.meta
    if (stored.parts === null) return isOutdatedBy(stored, meta) ? alone : null
    if (!mayCombine(stored, meta)) return alone
    const { total, ...combined } = combine(stored, there.body, { ...part, total: meta.total }, fresh)
    if (combined.size > this.maxSize) return alone
    // RFC 9110 section 15.3.7.3: fields that the new part left out are those of the stored ones.
    const headers = merged(stored.headers, meta.headers)
    const isWhole = combined.complete && total !== null
    const all = isWhole ? whole(meta, headers, total) : { ...meta, headers, parts: combined.parts, total }
    return { draft: this.#draftOf(all), alone: false, open: combined.open }
  }

  #draftOf(meta: ResponseMeta): Draft {
    return { ...this.#draft, head: entryHead(trust(meta)) }
  }

  stream(body: ReadableStream<Uint8Array>): Promise<void> {
    this.#writing = this.#storeStream(body).catch((error: unknown) => this.#failed(error))
    return this.#writing
  }

  ended(received: number): void {
    this.#received = received
    if (this.#flight) this.#flight.storing = true
    if (this.#writing !== null) this.#tools.pending.add(this.#writing)
  }

  async #storeStream(body: ReadableStream<Uint8Array>): Promise<void> {
    if (this.#x.effective.filter !== null && !(await this.#passesFilter(null))) {
      this.#refuse('filtered')
      return body.cancel()
    }
    const part = this.#draft.head.meta.parts?.[0]
    if (part === undefined) return this.#writeStream(this.#draft, body)
    const fresh = { open: () => body, endsAll: () => this.#mayEndHere() }
    const target = this.#target(part, await this.#there(), fresh)
    if (target !== null) return this.#writeStream(target.draft, target.open())
    this.#refuse('partial')
    return body.cancel()
  }

  /** A part that ends before its end: it was cut, or is not what it says. */
  #mayEndHere(): boolean {
    if (this.#cut === null) this.#refuse('partial')
    return this.#cut !== null
  }

  async #writeStream(draft: Draft, body: ReadableStream<Uint8Array>): Promise<void> {
    const overtaken = this.#overtaken()
    if (overtaken !== null) {
      this.#refuse(overtaken)
      return body.cancel()
    }
    const guarded = this.#flight?.mayStore ? endingOnly(body, () => this.#keepsLease()) : body
    const written = await this.#tools.guard.write(draft.head, guarded, { isOwnFailure })
    // What has failed itself has nothing to cancel.
    if (!written && !guarded.locked) await guarded.cancel().catch(() => undefined)
    const cut = this.#cut
    const done = cut === null ? draft : incomplete(draft, draft.head.meta.parts ?? [this.#begun(cut)], this.#total)
    if (written) await this.#afterWrite(done, this.#tools.keeper.orphans(this.#before, done))
    if (cut === null) this.#landed(draft, written, null)
    else this.#landedCut(written)
  }

  async #keepsLease(): Promise<boolean> {
    const may = await this.#mayStore()
    if (!may) this.#refuse('lease-lost')
    return may
  }

  keeps(received: number, taken: number): boolean {
    const cuttable = this.#cuttable
    if (cuttable === null || taken < cuttable.least || received === 0 || received >= cuttable.length) return false
    return this.#overtaken() === null
  }

  mayEnd(): MaybePromise<boolean> {
    // A body that took its time: nothing older than what is there takes its place.
    if (this.#isOutrun()) {
      this.#refuse('superseded')
      return false
    }
    if (this.#cut === null && !this.#isPart) return true
    return chain(this.#there(), (there) => {
      const may = this.#mayTakePlaceOf(there)
      if (!may) this.#refuse(this.#cut === null ? 'partial' : 'interrupted')
      return may
    })
  }

  #mayTakePlaceOf(there: StoredEntry | undefined): boolean {
    const { meta } = this.#draft.head
    return mayTakeItsPlace(meta, this.#cut ?? Infinity, there, this.#x, this.#tools.guard.clock.now())
  }

  cut(bytes: Uint8Array | null, received: number): void {
    this.#cut = received
    if (this.#flight) this.#flight.storing = true
    const done = bytes === null ? this.#writing : this.#writeCut(bytes)
    if (done !== null) this.#tools.pending.add(done.catch((failure: unknown) => this.#failed(failure)))
  }

  /** What has arrived of a short body that was cut. */
  async #writeCut(bytes: Uint8Array): Promise<void> {
    const part = this.#begun(bytes.length)
    const there = await this.#there()
    const target = this.#isPart ? this.#target(part, there, atHand(bytes)) : null
    const fits = this.#isPart ? target !== null : this.#mayTakePlaceOf(there)
    const may = fits && (await this.#mayStore()) && this.#overtaken() === null
    const draft = target?.draft ?? incomplete(this.#draft, [part], this.#total)
    const body = target === null || target.alone ? bytes : target.open()
    const written = may && (await this.#tools.guard.write(draft.head, body, { background: true, isOwnFailure }))
    if (written) await this.#afterWrite(draft, [])
    this.#landedCut(written)
  }

  get #isPart(): boolean {
    return this.#draft.head.meta.parts !== null
  }

  /** The complete length, where the body may be kept although it was cut. */
  get #total(): number | null {
    return this.#draft.head.meta.total ?? this.#cuttable?.length ?? null
  }

  /** Where the first bytes of the body are in the whole. */
  #begun(received: number): Part {
    const first = this.#draft.head.meta.parts?.[0]?.first ?? 0
    return { first, last: first + received - 1 }
  }

  #landedCut(written: boolean): void {
    const kept = written && this.#overtaken() === null
    this.#leave()
    if (kept) this.#flight?.land(PART)
    else this.#flight?.fail(interrupted())
    this.#refuse('interrupted')
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
    if (reason === 'interrupted') this.#flight?.fail(interrupted())
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

/** What those who waited for a body that broke off are told. */
export function interrupted(): BodyInterrupted {
  return new BodyInterrupted('the body was interrupted')
}

/** The head of the whole that parts make, or that one part is already. */
function whole(meta: ResponseMeta, headers: HeaderList, total: number): ResponseMeta {
  return { ...meta, status: 200, statusText: 'OK', headers: wholeHeaders(headers, total), parts: null, total }
}

/** Where a part is written, and of what it is made. */
interface Target {
  readonly draft: Draft
  /** Of nothing but the part. */
  readonly alone: boolean
  open(): ReadableStream<Uint8Array>
}

function atHand(bytes: Uint8Array): Omit<Piece, 'length'> {
  return { open: () => inlineBody(bytes).open(0, bytes.length) }
}

/** The origin broke off, or the lease was lost: nothing is wrong with the store. */
function isOwnFailure(error: unknown): boolean {
  return error instanceof BodyInterrupted
}

/** An entry as a reader would find it, made from what was just written. */
function entryAtHand(draft: Draft, bytes: Uint8Array): ResponseEntry {
  return { ...draft.head, version: 0, body: inlineBody(bytes) }
}
