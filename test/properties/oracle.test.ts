/** Policy against a second reading of RFC 9111 (oracle.ts): for any exchange and any later request, both must say the same. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { answer } from '../../src/policy/answer.ts'
import type { Demand, Outcome, ResponseMeta } from '../../src/policy/decision.ts'
import { RFC_OPTIONS } from '../../src/policy/options.ts'
import { bypass, plan } from '../../src/policy/plan.ts'
import { matches, selecting } from '../../src/policy/select.ts'
import { settle } from '../../src/policy/settle.ts'
import { answered, asks, BASE, conditions, confirmed, spelling, Writer } from './arbitraries.ts'
import { age, isAbout, isOfUse, keepsField, may, mayKeep, mayStore, reply, selects, updated } from './oracle.ts'
import type { Asks, Conditions, Kept, May, Reply, Said } from './oracle.ts'

const DEMAND: Demand = { mode: 'default', refresh: false, forceRefresh: false, onlyIfCached: false }
const head = (headers: ResponseMeta['headers']) => ({ method: 'GET', url: 'http://a.test/', headers })

/** One cache and what it keeps, told by the messages' header fields. */
class Ours {
  readonly #options
  readonly #writer
  meta: ResponseMeta | null = null

  constructor(shared: boolean, choices: readonly number[]) {
    this.#options = { ...RFC_OPTIONS, shared }
    this.#writer = new Writer(choices)
  }

  settle(kept: Omit<Kept, 'said' | 'by'> & { readonly said: Said }, status: number): Outcome {
    const request = head(this.#writer.request(kept.asked))
    const response = { status, statusText: '', headers: this.#writer.response(kept.said) }
    const [requestTime, responseTime] = [BASE + kept.sent * 1000, BASE + kept.came * 1000]
    const { meta: stored } = this
    const options = this.#options
    const outcome = settle({ request, stored, response, requestTime, responseTime, options, random: 0 })
    if (outcome.kind === 'store') {
      const chosen = selecting(outcome.vary, request, options)
      const { headers, terms } = outcome
      this.meta = { ...EMPTY, selecting: chosen, status, headers, terms, requestTime, responseTime }
    } else if (outcome.kind === 'refresh' && stored !== null)
      this.meta = { ...stored, headers: outcome.headers, terms: outcome.terms, requestTime, responseTime }
    return outcome
  }

  reply(wants: Conditions, size: number): Reply | null {
    if (this.meta === null) return null
    const told = answer(head(this.#writer.conditions(wants)), this.meta, size)
    return told.kind === 'range' ? [206, told.first, told.last] : [STATUS[told.kind]]
  }

  may(wants: Asks, now: number): { may: May; age: number | null } {
    const request = head(this.#writer.request(wants))
    const options = this.#options
    if (bypass(request, DEMAND, options) !== null) return { may: 'no', age: null }
    const meta = this.meta !== null && matches(this.meta.selecting, request, options) ? this.meta : null
    const stored = { meta, size: 10, invalidated: false, variants: [] }
    const decided = plan(request, DEMAND, stored, BASE + now * 1000, options)
    if (decided.kind === 'hit' || decided.kind === 'stale') return { may: 'yes', age: decided.age }
    return { may: decided.kind === 'unsatisfiable' ? 'gateway-timeout' : 'no', age: null }
  }
}

const STATUS = { whole: 200, 'not-modified': 304, 'range-not-satisfiable': 416 } as const

const EMPTY = {
  kind: 'response',
  key: 'k',
  method: 'GET',
  url: 'http://a.test/',
  statusText: '',
  tags: [],
  parts: null,
  total: null,
  decoded: false,
} as const

/** What is left of a response once it is stored: without the fields that no-cache and private name. */
function asStored(kept: Kept, shared: boolean): Kept {
  const keeps = (name: string): boolean => keepsField(kept, name, shared)
  const { said } = kept
  return { ...kept, said: { ...said, cookie: said.cookie && keeps('set-cookie'), xa: keeps('x-a') ? said.xa : null } }
}

const later = fc.array(fc.tuple(asks, fc.constantFrom(0, 1, 4, 5, 9, 10, 11, 19, 20, 25, 59, 60, 61, 80, 101, 300)), {
  minLength: 1,
  maxLength: 4,
})
const NOBODY: Asks = { control: [], pragma: false, authorization: false, cookie: false, lang: null }
const took = fc.constantFrom(0, 0, 2)

function sameAnswers(
  ours: Ours,
  kept: Kept | null,
  wants: readonly (readonly [Asks, number])[],
  shared: boolean,
): void {
  for (const [wanted, after] of wants) {
    const now = (kept?.came ?? 0) + after
    const nothing = wanted.control.some(([name]) => name === 'only-if-cached') ? 'gateway-timeout' : 'no'
    const expected = kept === null ? nothing : may(kept, wanted, now, shared)
    const seen = ours.may(wanted, now)
    expect(seen.may).toBe(expected)
    if (kept !== null && seen.age !== null) expect(seen.age).toBe(age(kept, now))
  }
}

const fields = (ours: Ours, name: string): string | null =>
  ours.meta?.headers.find((line) => line[0] === name)?.[1] ?? null

test('sections 3 and 4: what is stored, for whom, and for how long it answers', () => {
  fc.assert(
    fc.property(answered, asks, took, later, fc.boolean(), spelling, (said, asked, seconds, wants, shared, choices) => {
      const ours = new Ours(shared, choices)
      const kept: Kept = { said, asked, sent: -seconds, came: 0, by: said.vary }
      const stored = mayStore(kept, shared) && isOfUse(kept, shared)
      expect(ours.settle(kept, said.status).kind).toBe(stored ? 'store' : 'refuse')
      if (stored) expect(fields(ours, 'x-a')).toBe(keepsField(kept, 'x-a', shared) ? said.xa : null)
      sameAnswers(ours, stored ? asStored(kept, shared) : null, wants, shared)
    }),
    { numRuns: 6000, seed: 9111 },
  )
})

test('sections 3.2 and 4.3.4: what a 304 changes, and what it ends', () => {
  fc.assert(
    fc.property(
      fc.record({ said: answered, asked: asks, told: confirmed, again: asks, wants: later }),
      fc.boolean(),
      spelling,
      ({ said, asked, told, again, wants }, shared, choices) => {
        const ours = new Ours(shared, choices)
        const first: Kept = { said, asked, sent: 0, came: 0, by: said.vary }
        fc.pre(mayStore(first, shared) && isOfUse(first, shared))
        ours.settle(first, said.status)
        const before = asStored(first, shared)
        const renews = { ...again, control: [] }
        fc.pre(selects(before, renews, shared))
        const after = updated(before, told, renews, 40, 41)
        const fits = isAbout(told, before)
        const outcome = ours.settle({ said: told, asked: renews, sent: 40, came: 41 }, 304)
        expect(outcome.kind).toBe(fits && mayKeep(after, before, shared) ? 'refresh' : 'refuse')
        if (outcome.kind === 'refuse') expect(outcome.drop).toBe(true)
        if (outcome.kind !== 'refresh') return
        expect(fields(ours, 'x-a')).toBe(keepsField(after, 'x-a', shared) ? after.said.xa : null)
        sameAnswers(ours, asStored(after, shared), wants, shared)
      },
    ),
    { numRuns: 6000, seed: 9111, maxSkipsPerRun: 1000 },
  )
})

test('section 4.3.2, RFC 9110 sections 13 and 14: how what is stored answers conditions and ranges', () => {
  fc.assert(
    fc.property(answered, conditions, fc.constantFrom(0, 1, 10), spelling, (said, wants, size, choices) => {
      const ours = new Ours(false, choices)
      const kept: Kept = { said, asked: NOBODY, sent: 0, came: 0, by: said.vary }
      ours.settle(kept, said.status)
      if (ours.meta !== null) expect(ours.reply(wants, size)).toEqual(reply(asStored(kept, false), wants, size))
    }),
    { numRuns: 6000, seed: 9110 },
  )
})
