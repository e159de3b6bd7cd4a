/** What DynamoStore promises beyond the store contract (B6, B11, rows 194, 200, 217, RELIABILITY 40, 41, 45, 46, 68, 69, 139, 146). */
import { randomUUID } from 'node:crypto'
import {
  CreateTableCommand,
  DeleteItemCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  GetItemCommand,
  PutItemCommand,
  type AttributeValue,
} from '@aws-sdk/client-dynamodb'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { NEVER } from '../../src/engine/ports.ts'
import { createCachedFetch } from '../../src/index.ts'
import { startOrigin } from '../../src/testing/index.ts'
import { sampleHead, sampleMeta } from '../../src/testing/samples.ts'
import { DynamoStore, dynamoStoreFromUrl, type DynamoClientLike } from '../../src/stores/dynamodb.ts'
import { describeWithService } from '../services/registry.ts'
import { Bench, localOptions } from './dynamodb-support.ts'

const small = new Uint8Array([1, 2, 3])
const large = (size = 300_000): ReadableStream<Uint8Array> => new Blob([new Uint8Array(size).fill(7)]).stream()
const CHUNKS = { inlineSize: 1000, chunkSize: 65_536 }
const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 86_400_000

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

async function bytesOf(stream: ReadableStream<Uint8Array> | undefined): Promise<Uint8Array> {
  return new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).bytes()
}

function seconds(item: Record<string, AttributeValue>): number {
  return Number(item['ttl']?.N ?? NaN)
}

/** The time, to be set by hand. */
class Hand {
  time: number = Date.now()
  now(): number {
    return this.time
  }
}

type Intercept = (name: string, input: Record<string, unknown>, send: () => Promise<unknown>) => Promise<unknown>

/** A client whose requests go through `intercept`. */
function clientOf(bench: Bench, intercept: Intercept): DynamoClientLike {
  return {
    // Whatever the command is: the real client knows.
    send: (command: GetItemCommand, options) =>
      intercept(command.constructor.name.replace('Command', ''), { ...command.input }, () =>
        bench.client.send(command, options),
      ),
  }
}

/** A client that remembers its requests. */
function spied(bench: Bench): { client: DynamoClientLike; sent: string[]; inputs: Record<string, unknown>[] } {
  const sent: string[] = []
  const inputs: Record<string, unknown>[] = []
  const client = clientOf(bench, (name, input, send) => {
    sent.push(name)
    inputs.push(input)
    return send()
  })
  return { client, sent, inputs }
}

/** A client that sends every request again after its answer. */
function twice(bench: Bench): DynamoClientLike {
  return clientOf(bench, async (_, __, send) => {
    await send().catch(() => undefined)
    return send()
  })
}

type Keys = readonly (readonly [name: string, type: 'S' | 'N', kind: 'HASH' | 'RANGE'])[]

async function makeTable(bench: Bench, table: string, keys: Keys): Promise<void> {
  await bench.client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: keys.map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
      KeySchema: keys.map(([AttributeName, , KeyType]) => ({ AttributeName, KeyType })),
    }),
  )
}

describeWithService('dynamodb', ({ url }) => {
  const bench = new Bench(url)
  afterAll(() => bench.close())

  const chunksOf = (ns: string): Promise<Record<string, AttributeValue>[]> => bench.items(`${ns}#c#`)
  const entryOf = async (ns: string): Promise<Record<string, AttributeValue>> =>
    (await bench.items(`${ns}#e#`))[0] ?? {}

  describe('requests', () => {
    it('B6: a hit on a small entry is one request, as are a miss, a write, an overwrite and a deletion', async () => {
      const { client, sent } = spied(bench)
      const store = bench.tidy({ client })
      await store.ready()
      sent.length = 0
      await store.write(sampleHead('a'), small)
      await store.write(sampleHead('a'), small)
      await store.read('a')
      await store.read('missing')
      await store.delete(['a'])
      expect(sent).toEqual(['PutItem', 'PutItem', 'GetItem', 'GetItem', 'DeleteItem'])
    })

    it('rule 3: a change of metadata is one request, and moves no body, nor does a deletion or a listing', async () => {
      const { client, sent, inputs } = spied(bench)
      const ns = randomUUID()
      const store = bench.tidy({ client, namespace: ns })
      await store.write(sampleHead('a'), new Uint8Array(200_000))
      await store.write(sampleHead('b'), new Uint8Array(200_000))
      const version = (await store.read('a'))?.version ?? ''
      sent.length = inputs.length = 0
      expect(await store.update('a', { meta: sampleMeta('a'), expiresAt: 9, keepUntil: NEVER }, version)).toBe(true)
      await all(store.entries())
      await store.delete(['a', 'b'])
      expect(sent).toEqual(['UpdateItem', 'Scan', 'BatchGetItem', 'BatchWriteItem'])
      expect(JSON.stringify(inputs).length).toBeLessThan(10_000)
      expect(inputs[1]?.['ProjectionExpression']).toBe('#key, #head, #chunks, #until')
    })

    it('row 194: deletions are in batches of 25; what is left undone is asked for again', async () => {
      let left = 3
      const sizes: number[] = []
      const client = clientOf(bench, async (name, { RequestItems: requests }, send) => {
        if (name !== 'BatchWriteItem') return send()
        const [list = []] = Object.values(requests as Record<string, unknown[]>)
        sizes.push(list.length)
        return left-- > 0 ? { UnprocessedItems: requests } : send()
      })
      const store = bench.tidy({ client })
      const keys = Array.from({ length: 60 }, (_, n) => `key ${n}`)
      await Promise.all(keys.map((key) => store.write(sampleHead(key), small)))
      expect(await store.delete([...keys, ...keys, 'missing'])).toBe(60)
      expect(sizes.toSorted((a, b) => a - b)).toEqual([10, 10, 25, 25, 25, 25])
      expect(await all(store.keys())).toEqual([])
    })

    it('a batch that is never done ends with ERR_STORE_BUSY', async () => {
      const client = clientOf(bench, async (name, { RequestItems }, send) =>
        name === 'BatchWriteItem' ? { UnprocessedItems: RequestItems } : send(),
      )
      const store = bench.tidy({ client })
      await store.write(sampleHead('a'), small)
      await store.write(sampleHead('b'), small)
      await expect(store.delete(['a', 'b'])).rejects.toMatchObject({ code: 'ERR_STORE_BUSY' })
    })

    it('readMany asks for a hundred at a time, and again for what was left undone', async () => {
      let left = 3
      const sizes: number[] = []
      const client = clientOf(bench, async (name, { RequestItems }, send) => {
        if (name !== 'BatchGetItem') return send()
        const [ask] = Object.values(RequestItems as Record<string, { Keys: unknown[] }>)
        sizes.push(ask?.Keys.length ?? 0)
        return left-- > 0 ? { UnprocessedKeys: RequestItems } : send()
      })
      const store = bench.tidy({ client })
      const keys = Array.from({ length: 130 }, (_, n) => `key ${n}`)
      await Promise.all(keys.map((key) => store.write(sampleHead(key), small)))
      const outcomes = await store.readMany([...keys, 'missing', 'key 0'])
      expect(outcomes.map((outcome) => (outcome !== undefined && 'key' in outcome ? outcome.key : null))).toEqual([
        ...keys,
        null,
        'key 0',
      ])
      expect(sizes.toSorted((a, b) => a - b)).toEqual(expect.arrayContaining([31, 100]))
      expect(sizes).toHaveLength(5)
    })

    it('139: what is in an expression is a name of ours, a placeholder or a word of DynamoDB', async () => {
      const { client, inputs } = spied(bench)
      const table = bench.newTable()
      // Words DynamoDB reserves, and what would be another expression.
      const names = { keyAttribute: 'table', valueAttribute: 'size OR :x', ttlAttribute: 'select' }
      const store = bench.tidy({ client, table, ...names, ...CHUNKS })
      for (const key of ['a', "x'; DROP", ':x = :x']) {
        await store.write(sampleHead(key, { keepUntil: Date.now() + HOUR }), large(3000))
        await store.write(sampleHead(key, { keepUntil: Date.now() + HOUR }), small)
        const version = (await store.read(key))?.version ?? ''
        const change = { meta: sampleMeta(key), expiresAt: 5, keepUntil: Date.now() + HOUR }
        expect(await store.update(key, change, version)).toBe(true)
      }
      await store.deleteWhere({ expiredAt: 9, createdBefore: 5 })
      await store.lock(':x', 'me', 1000)
      await store.renew(':x', 'me', 1000)
      await store.unlock(':x', 'me')
      await store.delete(['a', 'b', 'c'])
      const expressions = inputs.flatMap((input) =>
        ['ConditionExpression', 'UpdateExpression', 'FilterExpression', 'ProjectionExpression'].flatMap((name) =>
          typeof input[name] === 'string' ? [input[name]] : [],
        ),
      )
      expect(expressions.length).toBeGreaterThan(10)
      const words = /\b(SET|REMOVE|AND|OR|attribute_exists|attribute_not_exists|begins_with)\b/g
      for (const each of expressions) expect(each.replace(/[#:]\w+/g, '').replace(words, '')).toMatch(/^[\s(),=<>]*$/)
    })
  })

  describe('items', () => {
    it('136, 139: nothing of a key is in the name of its item, whatever it is', async () => {
      const ns = randomUUID()
      const store = bench.tidy({ namespace: ns, ...CHUNKS })
      for (const key of ['\r\nx', '#e#', 'k'.repeat(5000), '\ud800', ''])
        await store.write(sampleHead(key), large(3000))
      await store.lock('\r\n', 'me', MINUTE)
      const names = (await bench.items(ns)).map((item) => item['key']?.S?.slice(ns.length) ?? '')
      expect(names).toHaveLength(11)
      for (const name of names) expect(name).toMatch(/^#(e#[\w-]{43}|l#[\w-]{43}|c#[\w-]{43}#[0-9a-f]{16}#0)$/)
    })

    it('46: DynamoDB may drop what is of no more use: in seconds, rounded up, or never; with ttl: false never', async () => {
      const ns = randomUUID()
      const clock = new Hand()
      const store = bench.tidy({ namespace: ns }, clock)
      const lifetime = async (subject: DynamoStore, keepUntil: number): Promise<number> => {
        await subject.write(sampleHead('k', { keepUntil }), small)
        return seconds(await entryOf(ns))
      }
      const now = Math.ceil(clock.time / 1000)
      expect(await lifetime(store, clock.time + 100_000)).toBe(now + 100)
      expect(await lifetime(store, clock.time + 31 * DAY)).toBe(now + 31 * 86_400)
      expect(await lifetime(store, 1000)).toBe(now + 1)
      expect(await lifetime(store, NEVER)).toBe(NaN)
      expect(await lifetime(bench.tidy({ namespace: ns, ttl: false }, clock), clock.time + 100_000)).toBe(NaN)
    })

    it('46: an entry that DynamoDB has not dropped yet is read as any other: its reader decides', async () => {
      const store = bench.tidy()
      await store.write(sampleHead('k', { keepUntil: 2000 }), small)
      expect((await store.read('k'))?.keepUntil).toBe(2000)
    })

    it('rows 200, 146: namespaces do not see each other, whatever is in their names', async () => {
      const base = randomUUID()
      const hash = 'x'.repeat(43)
      const names = ['', '#', '#e', '#e#', `#e#${hash}`, '#c#', `#c#${hash}#0123456789abcdef`, '\n\0\u2603', '%_*']
      const stores = names.map((name) => bench.tidy({ namespace: `${base}${name}`, ...CHUNKS }))
      for (const [n, store] of stores.entries()) {
        await store.write(sampleHead('shared', { createdAt: n }), large(3000))
        await store.write(sampleHead(`own ${n}`), small)
      }
      for (const [n, store] of stores.entries()) {
        expect((await all(store.keys())).toSorted()).toEqual([`own ${n}`, 'shared'])
        expect((await store.read('shared'))?.createdAt).toBe(n)
        expect(await store.lock('l', `owner ${n}`, MINUTE)).toBe(true)
      }
      const [first, ...others] = stores
      expect(await first?.deleteWhere({ createdBefore: 9 })).toBe(1)
      await first?.clear()
      expect(await first?.size()).toEqual({ entries: 0, bytes: 0 })
      for (const [n, other] of others.entries()) {
        expect((await all(other.keys())).toSorted()).toEqual([`own ${n + 1}`, 'shared'])
        expect((await bytesOf((await other.read('shared'))?.body.open(0, 3000))).length).toBe(3000)
      }
    })

    it('what is not ours is left alone: by clear, by deletions, and by a store without a namespace', async () => {
      const table = bench.newTable()
      const store = bench.tidy({ table, namespace: '', ...CHUNKS })
      await store.write(sampleHead('a'), large(3000))
      const foreign = ['e#short', `e#${'x'.repeat(44)}`, 'other', `c#${'x'.repeat(43)}#zz#0`]
      for (const name of foreign) {
        await bench.client.send(new PutItemCommand({ TableName: table, Item: { key: { S: name } } }))
      }
      expect(await all(store.keys())).toEqual(['a'])
      await store.deleteWhere({ createdBefore: NEVER })
      await store.clear()
      expect((await bench.items('', table)).map((item) => item['key']?.S).toSorted()).toEqual(foreign.toSorted())
    })

    it('40: foreign, damaged and copied items under names of ours are corrupt, not listed, and replaced by a write', async () => {
      const ns = randomUUID()
      const store = bench.tidy({ namespace: ns })
      await store.write(sampleHead('a'), small)
      const item = await entryOf(ns)
      await store.write(sampleHead('b'), small)
      const b = (await bench.items(`${ns}#e#`)).find((each) => each['key']?.S !== item['key']?.S) ?? {}
      const key = { key: b['key'] ?? { S: '' } }
      const head = b['head']?.B ?? new Uint8Array()
      const later = head.slice()
      later[3] = 0x32
      const wrong: readonly (readonly [Record<string, AttributeValue>, string])[] = [
        [{ ...item, ...key }, 'ERR_STORE_CORRUPT'],
        [{ ...key }, 'ERR_STORE_CORRUPT'],
        [{ ...key, head: { S: 'text' }, value: { B: small } }, 'ERR_STORE_CORRUPT'],
        [{ ...b, head: { B: head.subarray(0, 50) } }, 'ERR_STORE_CORRUPT'],
        [{ ...b, value: { B: new Uint8Array(7) } }, 'ERR_STORE_CORRUPT'],
        [{ ...b, value: { S: 'text' } }, 'ERR_STORE_CORRUPT'],
        [{ ...b, chunks: { N: '3' } }, 'ERR_STORE_CORRUPT'],
        [{ ...key, chunks: { N: '1' } }, 'ERR_STORE_CORRUPT'],
        [{ ...b, head: { B: later } }, 'ERR_STORE_FORMAT'],
      ]
      for (const [foreign, code] of wrong) {
        await bench.client.send(new PutItemCommand({ TableName: bench.table, Item: foreign }))
        await expect(store.read('b')).rejects.toMatchObject({ code })
        if (foreign['value'] === b['value']) expect((await all(store.keys())).length).toBeLessThan(3)
        await store.write(sampleHead('b'), small)
        expect((await store.read('b'))?.body.size).toBe(3)
        await bench.client.send(new PutItemCommand({ TableName: bench.table, Item: foreign }))
        expect(await store.delete(['b'])).toBe(1)
        expect(await store.read('b')).toBe(undefined)
      }
      expect(await all(store.keys())).toEqual(['a'])
    })
  })

  describe('long bodies', () => {
    it('B45: 1.5 MB at once and 5 MB streamed come back, through a cached fetch as well', async () => {
      const origin = await startOrigin()
      onTestFinished(() => origin.close())
      const store = bench.tidy()
      const body = new Uint8Array(1_500_000).map((_, at) => at % 251)
      await store.write(sampleHead('a'), body)
      expect(Buffer.compare(await bytesOf((await store.read('a'))?.body.open(0, body.length)), body)).toBe(0)
      const fetch = createCachedFetch({ store, storeTimeout: 10 })
      onTestFinished(() => fetch.close())
      const ask = async (): Promise<readonly [boolean, Buffer]> => {
        const response = await fetch(`${origin.url}/large/5000000`, { httpCache: { expireAfter: 60 } })
        return [response.fromCache, Buffer.from(await response.bytes())]
      }
      const [, first] = await ask()
      expect(first.length).toBe(5_000_000)
      await expect.poll(async () => (await all(store.keys())).length, { timeout: 10_000 }).toBe(2)
      const [isHit, second] = await ask()
      expect([isHit, first.equals(second)]).toEqual([true, true])
    })

    it('B45: a body that has no room in the item beside a large head goes into chunks', async () => {
      const ns = randomUUID()
      const store = bench.tidy({ namespace: ns, inlineSize: 396 * 1024 })
      const meta = sampleMeta('a', { headers: [['x-large', 'h'.repeat(100_000)]] })
      const body = new Uint8Array(390_000)
      await store.write(sampleHead('a', { meta }), body)
      await store.write(sampleHead('b', { meta }), large(390_000))
      await store.write(sampleHead('c'), body)
      expect(await chunksOf(ns)).toHaveLength(4)
      for (const key of ['a', 'b', 'c']) expect((await store.read(key))?.body.size).toBe(390_000)
      const huge = sampleMeta('d', { headers: [['x-large', 'h'.repeat(500_000)]] })
      await expect(store.write(sampleHead('d', { meta: huge }), small)).rejects.toMatchObject({
        code: 'ERR_STORE_FULL',
      })
      await expect(bench.tidy({ maxEntrySize: 10 }).write(sampleHead('e'), large(11))).rejects.toMatchObject({
        code: 'ERR_STORE_FULL',
      })
    })

    it('45: chunks under way have an end, which is taken away when their entry has none', async () => {
      const ns = randomUUID()
      const clock = new Hand()
      const store = bench.tidy({ namespace: ns, ...CHUNKS }, clock)
      const ends = async (): Promise<number[]> => (await chunksOf(ns)).map(seconds)
      let during: number[] = []
      let left = 6
      const paced = new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            if (left === 1) during = await ends()
            controller.enqueue(new Uint8Array(50_000))
            if (--left === 0) controller.close()
          },
        },
        { highWaterMark: 0 },
      )
      await store.write(sampleHead('k'), paced)
      const now = clock.time / 1000
      expect(during.length).toBeGreaterThan(0)
      for (const end of during) expect(end).toBe(Math.ceil(now + 3600))
      expect(await ends()).toEqual([NaN, NaN, NaN, NaN, NaN])
      await store.write(sampleHead('k', { keepUntil: clock.time + HOUR }), large())
      const lives = (await ends()).map((end) => Math.floor(end - now)).toSorted((a, b) => a - b)
      // The old ones are over in a minute; the new ones live a day longer than their entry.
      expect(lives).toEqual([60, 60, 60, 60, 60, 90_000, 90_000, 90_000, 90_000, 90_000])
    })

    it('a failed write leaves no chunks', async () => {
      const ns = randomUUID()
      const store = bench.tidy({ namespace: ns, maxEntrySize: 200_000, ...CHUNKS })
      await expect(store.write(sampleHead('k'), large())).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
      const broken = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (controller.desiredSize === null) return
          controller.enqueue(new Uint8Array(70_000))
          if (Math.random() < 0.3) controller.error(new Error('the origin broke off'))
        },
      })
      await expect(store.write(sampleHead('k'), broken)).rejects.toThrow()
      expect(await chunksOf(ns)).toEqual([])
    })

    it('a change of metadata prolongs chunks only where they would not live long enough', async () => {
      const ns = randomUUID()
      const clock = new Hand()
      const { client, sent } = spied(bench)
      const store = bench.tidy({ namespace: ns, client, ...CHUNKS }, clock)
      const start = clock.time
      const revalidate = async (keepUntil: number): Promise<readonly (string | number)[]> => {
        const version = (await store.read('k'))?.version ?? ''
        sent.length = 0
        expect(await store.update('k', { meta: sampleMeta('k'), expiresAt: 9, keepUntil }, version)).toBe(true)
        const ends = new Set((await chunksOf(ns)).map((chunk) => Number(chunk['until']?.N ?? NaN) - start))
        return [sent.length, ...ends]
      }
      await store.write(sampleHead('k', { keepUntil: start + HOUR }), large())
      expect(await revalidate(start + 20 * HOUR)).toEqual([1, DAY + HOUR])
      expect(await revalidate(start + 25 * HOUR)).toEqual([1, DAY + HOUR])
      clock.time += DAY
      expect(await revalidate(start + 26 * HOUR)).toEqual([6, 26 * HOUR + DAY])
      expect(await revalidate(NEVER)).toEqual([6, NaN])
      expect(await revalidate(NEVER)).toEqual([1, NaN])
      expect(await revalidate(start + 26 * HOUR)).toEqual([6, 26 * HOUR + DAY])
      expect((await bytesOf((await store.read('k'))?.body.open(0, 300_000))).length).toBe(300_000)
    })

    it('68: who reads a long body while it is replaced or deleted, by any process, reads to its end', async () => {
      const [ns, clock] = [randomUUID(), new Hand()]
      const [reader, writer] = [1, 2].map(() => bench.tidy({ namespace: ns, ...CHUNKS }, clock))
      for (const change of [
        () => writer?.write(sampleHead('k'), small),
        () => writer?.delete(['k']),
        () => writer?.delete(['k', 'other']),
        () => writer?.deleteWhere({ createdBefore: NEVER }),
      ]) {
        await writer?.write(sampleHead('k'), large())
        const entry = await reader?.read('k')
        await change()
        expect((await bytesOf(entry?.body.open(0, 300_000))).every((byte) => byte === 7)).toBe(true)
      }
      clock.time += 2 * MINUTE
      await writer?.deleteWhere({ expiredAt: 0 })
      expect(await chunksOf(ns)).toEqual([])
    })

    it('what killed processes leave, and what DynamoDB dropped the entry of, goes with a purge; the rest stays', async () => {
      const [ns, clock] = [randomUUID(), new Hand()]
      const store = bench.tidy({ namespace: ns, ...CHUNKS }, clock)
      await store.write(sampleHead('stays'), large())
      await store.write(sampleHead('lost'), large())
      const kept = new Set((await chunksOf(ns)).map((item) => item['key']?.S))
      const lost = (await bench.items(`${ns}#e#`)).find((item) => Buffer.from(item['head']?.B ?? []).includes('lost'))
      await bench.client.send(
        new DeleteItemCommand({ TableName: bench.table, Key: { key: lost?.['key'] ?? { S: '' } } }),
      )
      // Killed in mid-write: its request never comes back.
      const stuck = bench.tidy({ namespace: ns, ...CHUNKS }, clock)
      const halted = new ReadableStream<Uint8Array>({ start: (control) => control.enqueue(new Uint8Array(150_000)) })
      void stuck.write(sampleHead('stuck'), halted).catch(() => undefined)
      await expect.poll(async () => (await chunksOf(ns)).length, { timeout: 20_000 }).toBe(12)
      await store.deleteWhere({ expiredAt: 0 })
      expect(await chunksOf(ns)).toHaveLength(12)
      clock.time += 2 * HOUR
      await store.deleteWhere({ expiredAt: 0 })
      const left = (await chunksOf(ns)).map((item) => item['key']?.S)
      expect(left).toHaveLength(5)
      expect(left.every((name) => kept.has(name))).toBe(true)
      expect((await bytesOf((await store.read('stays'))?.body.open(0, 300_000))).length).toBe(300_000)
    })

    it('41: a chunk that is gone or damaged fails the stream, never shortens it', async () => {
      const ns = randomUUID()
      const store = bench.tidy({ namespace: ns, ...CHUNKS })
      await store.write(sampleHead('k'), large())
      const third = (await chunksOf(ns)).find((item) => item['key']?.S?.endsWith('#3') === true) ?? {}
      const damaged = Buffer.from(third['value']?.B ?? [])
      damaged[5] = (damaged[5] ?? 0) ^ 1
      const read = async (): Promise<Uint8Array> => bytesOf((await store.read('k'))?.body.open(0, 300_000))
      await bench.client.send(new PutItemCommand({ TableName: bench.table, Item: { ...third, value: { B: damaged } } }))
      await expect(read()).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
      await bench.client.send(
        new DeleteItemCommand({ TableName: bench.table, Key: { key: third['key'] ?? { S: '' } } }),
      )
      await expect(read()).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    })
  })

  describe('requests that the SDK repeats, since their answers were lost', () => {
    it('69: a lease that was taken is ours, and of many who want it one has it', async () => {
      const ns = randomUUID()
      const stores = Array.from({ length: 4 }, () => bench.tidy({ namespace: ns, client: twice(bench) }))
      const taken = await Promise.all(stores.map((store, n) => store.lock('l', `owner ${n}`, MINUTE)))
      expect(taken.filter(Boolean)).toHaveLength(1)
      const holder = taken.indexOf(true)
      expect(await stores[holder]?.renew('l', `owner ${holder}`, MINUTE)).toBe(true)
    })

    it('a long body stays, whatever it takes the place of, and what it replaced goes', async () => {
      const [ns, clock] = [randomUUID(), new Hand()]
      const store = bench.tidy({ namespace: ns, client: twice(bench), ...CHUNKS }, clock)
      for (const before of [null, small, large(), large()]) {
        if (before !== null) await store.write(sampleHead('k'), before)
        await store.write(sampleHead('k'), large())
        clock.time += 2 * MINUTE
        await store.deleteWhere({ expiredAt: 0 })
        expect(await chunksOf(ns)).toHaveLength(5)
        expect((await bytesOf((await store.read('k'))?.body.open(0, 300_000))).length).toBe(300_000)
      }
    })

    it('a change of metadata was made; a long body was deleted, and counted', async () => {
      const ns = randomUUID()
      const store = bench.tidy({ namespace: ns, client: twice(bench), ...CHUNKS })
      await store.write(sampleHead('k'), large())
      const version = (await store.read('k'))?.version ?? ''
      expect(await store.update('k', { meta: sampleMeta('k'), expiresAt: 9, keepUntil: NEVER }, version)).toBe(true)
      expect(await store.delete(['k'])).toBe(1)
      expect((await chunksOf(ns)).every((chunk) => chunk['retired'] !== undefined)).toBe(true)
    })
  })

  describe('row 217: the table', () => {
    it('is made by the first use where it may be, once, billed per request, with TTL', async () => {
      const options = { ...localOptions(url), table: bench.newTable(), ttlAttribute: 'dies', createIfNotExists: true }
      const stores = Array.from({ length: 5 }, () => bench.tidy(options))
      await Promise.all(stores.map((store, n) => store.write(sampleHead(`key ${n}`), small)))
      for (const [n, store] of stores.entries()) expect((await store.read(`key ${n}`))?.body.size).toBe(3)
      const { Table: table } = await bench.client.send(new DescribeTableCommand({ TableName: options.table }))
      expect(table?.BillingModeSummary?.BillingMode).toBe('PAY_PER_REQUEST')
      const ttl = await bench.client.send(new DescribeTimeToLiveCommand({ TableName: options.table }))
      expect(ttl.TimeToLiveDescription).toMatchObject({ TimeToLiveStatus: 'ENABLED', AttributeName: 'dies' })
    })

    it('is not made otherwise: the error says how to', async () => {
      const store = bench.tidy({ ...localOptions(url), table: bench.newTable(), createIfNotExists: false })
      const missing = { code: 'ERR_STORE_OPEN', message: expect.stringContaining('createIfNotExists') as string }
      await expect(store.read('a')).rejects.toMatchObject(missing)
      await expect(store.ready()).rejects.toMatchObject(missing)
    })

    it('with other keys is ERR_STORE_FORMAT, at the first use, or strictly at once; and stays as it is', async () => {
      const shapes = [
        [['id', 'S', 'HASH']],
        [['key', 'N', 'HASH']],
        [
          ['key', 'S', 'HASH'],
          ['range', 'S', 'RANGE'],
        ],
      ] as const
      for (const keys of shapes) {
        const table = bench.newTable()
        await makeTable(bench, table, keys)
        const item = Object.fromEntries(keys.map(([name, type]) => [name, type === 'S' ? { S: 'x' } : { N: '1' }]))
        await bench.client.send(new PutItemCommand({ TableName: table, Item: item as Record<string, AttributeValue> }))
        const format = { code: 'ERR_STORE_FORMAT' }
        const store = bench.tidy({ table })
        await expect(store.read('a')).rejects.toMatchObject(format)
        await expect(store.write(sampleHead('a'), small)).rejects.toMatchObject(format)
        await expect(store.delete(['a'])).rejects.toMatchObject(format)
        await expect(store.delete(['a', 'b'])).rejects.toMatchObject(format)
        await store.clear().catch(() => undefined)
        const strict = bench.tidy({ table, strict: true })
        await expect(strict.read('a')).rejects.toThrow(/has the keys .*the store needs key \(HASH, S\) alone/)
        const { Table: left } = await bench.client.send(new DescribeTableCommand({ TableName: table }))
        expect(left?.ItemCount).toBe(1)
      }
    })

    it('a client that was given is not destroyed', async () => {
      const store = bench.open({ client: bench.client })
      await store.write(sampleHead('a'), small)
      await store.close()
      await bench.client.send(new GetItemCommand({ TableName: bench.table, Key: { key: { S: 'x' } } }))
    })

    it('S3: by URL', async () => {
      const store = dynamoStoreFromUrl(
        `dynamodb:${bench.table}?endpoint=${url}&namespace=${randomUUID()}&createIfNotExists=true`,
      )
      onTestFinished(() => store.close())
      await store.write(sampleHead('a'), small)
      expect((await store.read('a'))?.body.size).toBe(3)
    })
  })
})
