/** RELIABILITY 69: a lease ends with what it was taken for, also where that throws. */
import { describe, expect, test } from 'vitest'
import { MemoryStore, type CacheEvent, type CacheOptions, type LockingStore } from '../../src/index.ts'
import { answering } from '../reliability/support.ts'
import { bench, until, type Bench } from './support.ts'

const PAGE = 'http://o.test/'

interface Leased extends Bench {
  readonly answer: ReturnType<typeof answering>
  /** The names of the leases that somebody holds. */
  readonly held: ReadonlyMap<string, string>
  /** From now on the filter throws where it looks under a lease. */
  readonly breakFilter: (broken: boolean) => void
}

function leased(options: CacheOptions = {}): Leased {
  const inner = new MemoryStore()
  const held = new Map<string, string>()
  const store: LockingStore = {
    name: 'leased',
    limits: { ...inner.limits, shared: true },
    read: (key) => inner.read(key),
    write: (head, body) => inner.write(head, body),
    update: (...change) => inner.update(...change),
    delete: (keys) => inner.delete(keys),
    close: () => inner.close(),
    lock: (name, owner) => !held.has(name) && held.set(name, owner) === held,
    renew: (name, owner) => held.get(name) === owner,
    unlock: (name, owner) => held.get(name) === owner && held.delete(name),
  }
  let broken = false
  const filter = (): boolean => {
    if (broken && held.size > 0) throw new Error('boom: filter')
    return true
  }
  const answer = answering((_, n) => new Response(`v${n}`, { headers: { 'cache-control': 'max-age=1' } }))
  const made = bench({ store, singleFlight: 'store', filter, fetch: answer, ...options })
  return { ...made, answer, held, breakFilter: (is) => (broken = is) }
}

describe('D69, D64: a filter that throws where it looks under the lease', () => {
  test('in a background refresh: an event, the lease is given back, and the next refresh succeeds', async () => {
    const { fetch, clock, events, answer, held, breakFilter } = leased({ staleWhileRevalidate: '1h' })
    const failures = (): CacheEvent[] => events.filter(({ type }) => type === 'refresh-failed')
    await (await fetch(PAGE)).text()
    await until(() => held.size === 0)
    clock.advance(5000)
    breakFilter(true)
    expect(await (await fetch(PAGE)).text()).toBe('v1')
    await until(() => failures().length === 1 && held.size === 0)
    expect(answer.count()).toBe(1)
    breakFilter(false)
    clock.advance(5000)
    expect(await (await fetch(PAGE)).text()).toBe('v1')
    await until(async () => (await (await fetch(PAGE)).text()) === 'v2')
    await until(() => held.size === 0)
  })

  test('in a request: it fails by what was thrown, the lease is given back, and the next one is answered', async () => {
    const { fetch, clock, held, breakFilter } = leased()
    await (await fetch(PAGE)).text()
    await until(() => held.size === 0)
    clock.advance(5000)
    breakFilter(true)
    await expect(fetch(PAGE)).rejects.toThrow('boom: filter')
    await until(() => held.size === 0)
    breakFilter(false)
    expect(await (await fetch(PAGE)).text()).toBe('v2')
    await until(() => held.size === 0)
  })
})

test.each(['short', 'a body longer than is stored whole '.repeat(20_000)])(
  'D69: who lost its lease stores nothing, and that is no failure of a store or a filter',
  async (body) => {
    const { fetch, events, held } = leased({
      fetch: answering(() => {
        // Another has taken it over.
        for (const name of held.keys()) (held as Map<string, string>).set(name, 'another')
        return new Response(body, { headers: { 'cache-control': 'max-age=60' } })
      }),
    })
    expect(await (await fetch(PAGE)).text()).toBe(body)
    await until(() => fetch.stats().refused === 1)
    expect(events.map((event) => ('reason' in event ? event.reason : event.type))).toEqual(['uri-miss', 'lease-lost'])
  },
)
