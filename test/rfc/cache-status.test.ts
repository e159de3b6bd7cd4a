/** RFC 9211: Cache-Status, read as the List of structured fields that it is. */
import { describe, expect, test } from 'vitest'
import { isInnerList, parseList, type BareItem } from '../../src/http/structured-fields.ts'
import { Bench, type Ask, type Answer, type Fields } from './support.ts'

const FRESH: Fields = { 'cache-control': 'max-age=60', etag: '"1"' }

interface Status {
  readonly name: BareItem
  readonly params: Record<string, unknown>
}

function parsed(value: string | null): Status[] {
  const list = parseList(value ?? '')
  if (list === null) throw new Error(`not a List: ${value}`)
  return list.map((member) => {
    if (isInnerList(member)) throw new Error('an inner list')
    return {
      name: member.item,
      params: Object.fromEntries([...member.parameters].map(([key, item]) => [key, item.value])),
    }
  })
}

/** The members after a sequence of steps. */
async function after(
  steps: readonly { ask?: Ask; origin?: Answer; seconds?: number }[],
  cacheStatus: string | true = true,
): Promise<Status[]> {
  const bench = new Bench({ cacheStatus, shared: true })
  let value: string | null = null
  for (const { ask = {}, origin = { headers: FRESH }, seconds = 0 } of steps) {
    bench.clock.advance(seconds * 1000)
    bench.next = origin
    value = (await bench.ask(ask)).headers.get('cache-status')
  }
  return parsed(value)
}

/** What fwd and hit may be, and only one of them (section 2). */
const FWD = ['bypass', 'method', 'uri-miss', 'vary-miss', 'miss', 'request', 'stale', 'partial']

async function last(steps: Parameters<typeof after>[0]): Promise<Record<string, unknown>> {
  const [status] = (await after(steps)).slice(-1)
  const params = status?.params ?? {}
  expect(status?.name).toEqual({ type: 'token', value: 'keepfresh' })
  expect('hit' in params).not.toBe('fwd' in params)
  if ('fwd' in params) expect(FWD).toContain(params['fwd'])
  for (const name of ['fwd-status', 'ttl']) if (name in params) expect(Number.isInteger(params[name])).toBe(true)
  for (const name of ['stored', 'collapsed', 'hit']) if (name in params) expect(params[name]).toBe(true)
  return params
}

const get = { ask: {} }

describe('RFC 9211 section 2', () => {
  test('2.2: uri-miss, stored', async () => expect(await last([get])).toMatchObject({ fwd: 'uri-miss', stored: true }))
  test('2.5: not stored', async () => {
    expect(await last([{ origin: { headers: { 'cache-control': 'no-store' } } }])).not.toHaveProperty('stored')
  })
  test('2.1: hit, with what is left of its freshness', async () => {
    expect(await last([get, { seconds: 20 }])).toMatchObject({ hit: true, ttl: 40 })
  })
  test('2.4: a ttl below zero once it is stale', async () => {
    const ask = { headers: { 'cache-control': 'max-stale' } }
    expect(await last([get, { ask, seconds: 70 }])).toMatchObject({ hit: true, ttl: -10 })
  })
  test('2.2, 2.3: stale, and the 304', async () => {
    const params = await last([get, { seconds: 70, origin: { status: 304, headers: { etag: '"1"' } } }])
    expect(params).toMatchObject({ fwd: 'stale', 'fwd-status': 304 })
  })
  test('2.2: stale, and a new response', async () => {
    expect(await last([get, { seconds: 70 }])).toMatchObject({ fwd: 'stale', stored: true })
  })
  const stale = { headers: { 'cache-control': 'max-age=60, stale-if-error=600' } }
  test('2.1: a stale response in the place of an error was forwarded, and is no hit', async () => {
    const params = await last([{ origin: stale }, { seconds: 70, origin: { status: 503 } }])
    expect(params).toMatchObject({ fwd: 'stale', 'fwd-status': 503, ttl: -10 })
  })
  test('2.3: nor is it one where nobody answered, who had no status', async () => {
    const params = await last([{ origin: stale }, { seconds: 70, origin: 'fails' }])
    expect(params).toMatchObject({ fwd: 'stale', ttl: -10 })
    expect(params).not.toHaveProperty('fwd-status')
  })
  test('2.1: one given without asking is a hit', async () => {
    const ask = { headers: { 'cache-control': 'only-if-cached' } }
    expect(await last([{ origin: stale }, { seconds: 70, ask }])).toMatchObject({ hit: true, ttl: -10 })
  })
  test('2.2: request, and the 304 it led to', async () => {
    const origin = { status: 304, headers: { etag: '"1"' } }
    const params = await last([get, { ask: { headers: { 'cache-control': 'no-cache' } }, origin }])
    expect(params).toMatchObject({ fwd: 'request', 'fwd-status': 304 })
  })
  test('2.2: no-cache of the response is no word of the request', async () => {
    const origin = { headers: { 'cache-control': 'no-cache', etag: '"1"' } }
    expect(await last([{ origin }, { origin }])).toMatchObject({ fwd: 'stale', stored: true })
    expect(await last([{ origin }, { origin: { ...origin, status: 304 } }])).toMatchObject({ fwd: 'stale' })
  })
  test('2: a 504 of our own was neither a hit nor forwarded', async () => {
    const [status] = await after([{ ask: { headers: { 'cache-control': 'only-if-cached' } } }])
    expect(status?.params).toEqual({ key: 'GET http://origin.test/ shared', detail: 'only-if-cached' })
  })
  test('2.2: vary-miss', async () => {
    const vary = { headers: { ...FRESH, vary: 'x-a' } }
    expect(await last([{ origin: vary }, { ask: { headers: { 'x-a': '1' } }, origin: vary }])).toMatchObject({
      fwd: 'vary-miss',
    })
  })
  test('2.2: method', async () => expect(await last([{ ask: { method: 'POST' } }])).toMatchObject({ fwd: 'method' }))
  test('2.2: request', async () => {
    expect(await last([get, { ask: { headers: { 'cache-control': 'no-cache' } } }])).toMatchObject({ fwd: 'request' })
    expect(await last([get, { ask: { headers: { 'cache-control': 'no-store' } } }])).toMatchObject({ fwd: 'request' })
  })
  test('2.2: bypass', async () => {
    expect(await last([get, { ask: { headers: { 'if-match': '"1"' } } }])).toMatchObject({ fwd: 'bypass' })
  })
  test('2.2: partial', async () => {
    const part = (range: string, content: string): { ask: Ask; origin: Answer } => ({
      ask: { headers: { range } },
      origin: { status: 206, body: 'ab', headers: { ...FRESH, 'content-range': content } },
    })
    expect(await last([part('bytes=0-1', 'bytes 0-1/10'), part('bytes=4-5', 'bytes 4-5/10')])).toMatchObject({
      fwd: 'partial',
    })
  })
  test('2.7: the key is a String', async () => {
    const params = await last([{ ask: { url: '/a"b?c=%22' } }])
    expect(params['key']).toBe('GET http://origin.test/a%22b?c=%22 shared')
  })
  test('the member of this cache comes last, after those that are there', async () => {
    const upstream = { headers: { ...FRESH, 'cache-status': ['Origin; hit', '"far away"; fwd=uri-miss'] } }
    for (const steps of [[{ origin: upstream }], [{ origin: upstream }, {}]])
      expect((await after(steps)).map(({ name }) => name.value)).toEqual(['Origin', 'far away', 'keepfresh'])
  })
  test('a name that is no token is a String', async () => {
    const [status] = await after([get], 'my "cache", é')
    expect(status?.name.type).toBe('string')
  })
})
