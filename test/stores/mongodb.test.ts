/** What MongoStore promises beyond the store contract (B5, B11, rows 197, 198, 200, 216, RELIABILITY 40, 45, 46, 68, 138, 142, 145, 146). */
import { MongoClient, type Collection, type CommandStartedEvent, type Document } from 'mongodb'
import { describe, expect, it, onTestFinished } from 'vitest'
import { NEVER, type EntryHead, type StoredEntry } from '../../src/engine/ports.ts'
import { createCachedFetch } from '../../src/index.ts'
import { keyHash } from '../../src/stores/key-hash.ts'
import { MongoStore, type MongoOptions } from '../../src/stores/mongodb.ts'
import { startOrigin } from '../../src/testing/index.ts'
import { sampleHead, sampleMeta } from '../../src/testing/samples.ts'
import { describeWithService } from '../services/registry.ts'
import { DATABASE, freshCollection, removeCollections, TidyStore } from './mongodb-support.ts'

const small = new Uint8Array([1, 2, 3])
const CHUNKS = { inlineSize: 1000, chunkSize: 4096 }

function streamed(size: number, fill = 7): ReadableStream<Uint8Array> {
  return new Blob([new Uint8Array(size).fill(fill)]).stream()
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

function bodyOf(entry: StoredEntry | undefined): Promise<Uint8Array> {
  return new Response(entry?.body.open(0, entry.body.size)).bytes()
}

/** A collection's methods as those of a plain object, to be overridden. */
function methods(collection: Collection<Document>): object {
  const names = [
    'findOne',
    'find',
    'insertOne',
    'updateOne',
    'updateMany',
    'deleteOne',
    'deleteMany',
    'createIndex',
  ] as const
  return Object.fromEntries(names.map((name) => [name, collection[name].bind(collection)]))
}

function part(document: Document | null): Document | null {
  return document === null
    ? null
    : { _id: document['_id'], ...('chunks' in document ? { chunks: document['chunks'] } : {}) }
}

describe('options', () => {
  it.each<[string, unknown, string]>([
    ['an unknown name, and the nearest', { databse: 'x' }, 'Did you mean `database`?'],
    ['a URL of another kind', 'http://localhost', 'mongodb://host:port/database'],
    ['an empty host', 'mongodb://', 'mongodb://host:port/database'],
    ['two ways at once', { url: 'mongodb://h', client: new MongoClient('mongodb://h') }, 'one of `url` and `client`'],
    ['something that is no client', { client: {} }, 'a MongoClient'],
    ['options beside a client', { client: new MongoClient('mongodb://h'), clientOptions: {} }, 'have no use'],
    ['a database that cannot be', { database: 'a.b' }, '`database`'],
    ['a database of the URL that cannot be', 'mongodb://h/a%24b', '`database`'],
    ['a collection that cannot be', { collection: 'a$b' }, '`collection`'],
    ['a collection of the server', { collection: 'system.users' }, 'system.'],
    ['a collection that another store may have for its chunks', { collection: 'x.chunks' }, 'our own names'],
    ['a chunk of no size', { chunkSize: 0 }, 'a whole number from 64'],
    ['a chunk that fits no document', { chunkSize: 17_000_000 }, 'a whole number from 64 to 15728640'],
  ])('refuses %s', (_, options, message) => {
    expect(() => new MongoStore(options as MongoOptions)).toThrow(message)
  })

  it('a password in a wrong URL is not in the error', () => {
    expect(() => new MongoStore('mongo://user:s3cret@host')).not.toThrow('s3cret')
  })

  it('nothing is connected to before the first use', async () => {
    await new MongoStore('mongodb://127.0.0.1:1').close()
  })

  it('what the driver does not take is told as such, at the first use', async () => {
    for (const options of ['mongodb://h/?nonsense=1', { clientOptions: { nonsense: 1 } }]) {
      const store = new MongoStore(options)
      await expect(store.read('a')).rejects.toMatchObject({
        code: 'ERR_STORE_OPEN',
        message: expect.stringContaining('nonsense') as string,
      })
      await store.close()
    }
  })
})

describeWithService('mongodb', ({ url, name: server }) => {
  /** FerretDB 1 has no TTL index: nothing goes by itself there. */
  const isMongo = server !== 'FerretDB'

  function tidy(options: MongoOptions = {}): TidyStore {
    const store = new TidyStore(url, options)
    onTestFinished(() => store.close())
    return store
  }

  async function plain(): Promise<MongoClient> {
    const client = await new MongoClient(url).connect()
    onTestFinished(() => client.close())
    return client
  }

  /** The collections of a store, as others see them. */
  async function seen(store: TidyStore): Promise<Record<'entries' | 'chunks', Collection<Document & { _id: string }>>> {
    const database = (await plain()).db(DATABASE)
    return { entries: database.collection(store.collection), chunks: database.collection(`${store.collection}.chunks`) }
  }

  /** A client that keeps the commands it was asked to send. */
  async function spy(): Promise<{ client: MongoClient; sent: string[]; started: CommandStartedEvent[] }> {
    const client = await new MongoClient(url, { monitorCommands: true }).connect()
    onTestFinished(() => client.close())
    const sent: string[] = []
    const started: CommandStartedEvent[] = []
    client.on('commandStarted', (event: CommandStartedEvent) => {
      sent.push(event.commandName)
      started.push(event)
    })
    return { client, sent, started }
  }

  it('B5, row 197: a hit, a miss, a first write, a 304 and a deletion are one command each', async () => {
    const { client, sent } = await spy()
    const store = tidy({ client })
    // The first write has the indexes made, and the first that gives back a document finds out what the server can.
    await store.write(sampleHead('first'), small)
    await store.write(sampleHead('first'), small)
    await expect
      .poll(() => sent.filter((name) => name === 'createIndexes').length, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(4)
    sent.length = 0
    await store.write(sampleHead('a'), small)
    await store.write(sampleHead('a'), small)
    const entry = await store.read('a')
    await store.read('missing')
    await store.update('a', sampleHead('a'), entry?.version ?? '')
    await store.delete(['a'])
    expect(sent).toEqual(['insert', 'findAndModify', 'find', 'find', 'findAndModify', 'findAndModify'])
  })

  it('row 216: documents are for people, too', async () => {
    const store = tidy()
    const keepUntil = 4_000_000_000_000
    await store.write(sampleHead('http://example.test/', { keepUntil }), small)
    const [document] = await (await seen(store)).entries.find().toArray()
    expect(document).toMatchObject({
      _id: expect.stringMatching(/^[\w-]{43}$/) as string,
      key: 'http://example.test/',
      createdAt: 1000,
      expiresAt: 61_000,
      gone: new Date(keepUntil),
      size: 3,
      meta: expect.stringMatching(/"status":200,.*\["set-cookie","b=2"\]/) as string,
      version: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      keepfresh: 2,
    })
  })

  it('B5: a document is flat and short: servers read every field of it on every hit', async () => {
    const store = tidy()
    await store.write(sampleHead('a', { keepUntil: 4e12 }), small)
    const [document = {}] = await (await seen(store)).entries.find().toArray()
    const names = ['_id', 'key', 'createdAt', 'expiresAt', 'gone', 'size', 'meta', 'version', 'keepfresh', 'body']
    expect(Object.keys(document)).toEqual(names)
  })

  it('instants of every kind come back as they were, with a date for the server or without', async () => {
    for (const ttl of [true, false]) {
      const store = tidy({ ttl })
      for (const keepUntil of [4e12, 4e12 + 0.5, 0, -5, NEVER]) {
        const head = sampleHead('a', { keepUntil, expiresAt: keepUntil })
        await store.write(head, small)
        const written = await store.read('a')
        expect(written).toMatchObject({ keepUntil, expiresAt: keepUntil })
        expect(await store.update('a', { ...head, keepUntil: 3e12 }, written?.version ?? '')).toBe(true)
        const changed = await store.read('a')
        expect(changed?.keepUntil).toBe(3e12)
        expect(await store.update('a', head, changed?.version ?? '')).toBe(true)
        expect(await store.read('a')).toMatchObject({ keepUntil, body: { bytes: Buffer.from(small) } })
      }
    }
  })

  it('row 216: an entry has a date to go where there is one and `ttl` is not false, and an update changes it', async () => {
    const head = sampleHead('a', { keepUntil: 4_000_000_000_000 })
    const dated = [new Date(4_000_000_000_000), new Date(4_000_003_600_000)]
    const none = [undefined, undefined]
    for (const ttl of [true, false]) {
      const store = tidy({ ttl, ...CHUNKS })
      const { entries, chunks } = await seen(store)
      await store.write(head, streamed(5000))
      expect([(await entries.findOne())?.['gone'], (await chunks.findOne())?.['gone']]).toEqual(ttl ? dated : none)
      const { version = '' } = (await store.read('a')) ?? {}
      await store.update('a', { ...head, keepUntil: NEVER }, version)
      expect([(await entries.findOne())?.['gone'], (await chunks.findOne())?.['gone']]).toEqual(none)
    }
  })

  it('row 216: the TTL index can be set and removed; where the server refuses it, nothing fails', async () => {
    for (const ttl of [true, false]) {
      const { client, started } = await spy()
      await tidy({ client, ttl }).write(sampleHead('a'), small)
      const commands = (): CommandStartedEvent[] => started.filter(({ commandName }) => commandName.endsWith('Indexes'))
      await expect.poll(() => commands().length, { timeout: 20_000 }).toBe(4)
      const told = commands().map(({ commandName, command }) => [
        commandName,
        command['indexes']?.[0]?.expireAfterSeconds ?? command['index'],
      ])
      expect(told).toEqual([
        ['createIndexes', undefined],
        ttl ? ['createIndexes', 0] : ['dropIndexes', 'keepfresh_gone'],
        ['createIndexes', 0],
        ['createIndexes', 0],
      ])
    }
  })

  it('a server that answers with a part of a document is asked for no more', async () => {
    // What FerretDB 1 refuses is done here in its place.
    const client = await plain()
    const asked: unknown[] = []
    const parts = (collection: Collection<Document>): object => ({
      ...methods(collection),
      findOneAndReplace: async (filter: Document, document: Document, { projection, ...options }: Document) => {
        asked.push(projection)
        return part(await collection.findOneAndReplace(filter, document, options))
      },
      findOneAndDelete: async (filter: Document, { projection }: Document) => {
        asked.push(projection)
        return part(await collection.findOneAndDelete(filter))
      },
      findOneAndUpdate: async (filter: Document, change: Document, { projection }: Document) => {
        asked.push(projection)
        return part(await collection.findOneAndUpdate(filter, change))
      },
    })
    const database = client.db(DATABASE)
    const db = (): object => ({
      collection: (name: string, options: object) => parts(database.collection(name, options)),
      command: (command: Document) => database.command(command),
    })
    const collection = freshCollection()
    const store = tidy({
      client: { db, connect: () => client.connect(), close: () => client.close() },
      collection,
      ...CHUNKS,
    })
    const chunks = database.collection(`${collection}.chunks`)
    await store.write(sampleHead('a'), streamed(5000))
    await store.write(sampleHead('a'), streamed(6000))
    const { version = '' } = (await store.read('a')) ?? {}
    expect(await store.update('a', { ...sampleHead('a'), keepUntil: 4e12 }, version)).toBe(true)
    expect(await chunks.countDocuments({ gone: new Date(4e12 + 3_600_000) })).toBe(2)
    expect(await store.delete(['a'])).toBe(1)
    expect(await chunks.countDocuments({ gone: { $lt: new Date(Date.now() + 61_000) } })).toBe(4)
    expect(asked).toEqual([{ chunks: 1 }, { chunks: 1 }, { chunks: 1 }])
  })

  it('B46: what is past its use is read as it is: the reader decides, and deleteWhere removes it', async () => {
    const store = tidy()
    await store.write(sampleHead('old', { expiresAt: 2000, keepUntil: 3000 }), small)
    await store.write(sampleHead('month', { expiresAt: Date.now() + 31 * 86_400_000 }), small)
    if (!isMongo) expect((await store.read('old'))?.expiresAt).toBe(2000)
    expect((await store.read('month'))?.key).toBe('month')
    await store.deleteWhere({ expiredAt: Date.now() })
    expect(await all(store.keys())).toEqual(['month'])
  })

  it('B45, row 216: a body far beyond 16 MB comes back as it was, and one beyond maxEntrySize leaves nothing', async () => {
    // FerretDB takes its time for so much on a machine that has other work.
    const store = tidy({ maxEntrySize: 18_000_000, chunkSize: 4 * 1024 * 1024, commandTimeout: 30_000 })
    const body = new Uint8Array(17_500_000)
    for (let at = 0; at < body.length; at += 997) body[at] = at % 251
    await store.write(sampleHead('a'), body)
    expect(Buffer.compare(await bodyOf(await store.read('a')), body)).toBe(0)
    const { entries, chunks } = await seen(store)
    const before = await chunks.countDocuments()
    await expect(store.write(sampleHead('b'), streamed(18_000_001))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    expect([await entries.countDocuments(), await chunks.countDocuments()]).toEqual([1, before])
  })

  it('B45: metadata that no document can hold is ERR_STORE_FULL, and leaves no chunks', async () => {
    const store = tidy(CHUNKS)
    const huge = sampleHead('a', { meta: sampleMeta('a', { headers: [['x', 'y'.repeat(17_000_000)]] }) })
    for (const body of [small, streamed(5000)]) {
      await expect(store.write(huge, body)).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
    }
    expect(await (await seen(store)).chunks.countDocuments()).toBe(0)
  })

  it('no orphans: a failed write leaves no chunks; replaced and deleted ones are gone in a minute', async () => {
    const store = tidy(CHUNKS)
    const { chunks } = await seen(store)
    const failing = streamed(20_000).pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        flush() {
          throw new Error('broken off')
        },
      }),
    )
    await expect(store.write(sampleHead('a'), failing)).rejects.toThrow('broken off')
    expect(await chunks.countDocuments()).toBe(0)
    const changes = [
      () => store.write(sampleHead('a'), small),
      () => store.delete(['a']),
      () => store.delete(['a', 'b']),
      () => store.deleteWhere({ expiredAt: 100_000 }),
      () => store.clear(),
    ]
    for (const change of changes) {
      await store.write(sampleHead('a'), streamed(10_000))
      await change()
      const left = await chunks.find({}, { projection: { gone: 1 } }).toArray()
      expect(left.length).toBeGreaterThan(0)
      expect(left.every(({ gone }) => gone instanceof Date && gone.getTime() < Date.now() + 61_000)).toBe(true)
      await chunks.updateMany({}, { $set: { gone: new Date(5) } })
      await store.deleteWhere({ expiredAt: 1 })
      expect(await chunks.countDocuments()).toBe(0)
    }
  })

  it('no orphans: chunks that another process has retired are not brought back by a late change of their entry', async () => {
    const store = tidy(CHUNKS)
    const { entries, chunks } = await seen(store)
    const head = sampleHead('a', { keepUntil: NEVER })
    await store.write(head, streamed(10_000))
    const retired = await chunks.find({}).toArray()
    await store.delete(['a'])
    await store.write(head, streamed(10_000))
    const id = String((await entries.findOne())?.['chunks']?.id)
    // What another process does that replaces the entry, between the two steps of an update.
    const gone = new Date(Date.now() + 60_000)
    await chunks.updateMany({ _id: { $regex: `^${id}` } as never }, { $set: { gone, retired: true } })
    const version = (await store.read('a'))?.version ?? ''
    expect(await store.update('a', { ...head, expiresAt: 9 }, version)).toBe(true)
    expect(await chunks.countDocuments({ gone: { $exists: false } })).toBe(0)
    expect(await chunks.countDocuments({ retired: true })).toBe(2 * retired.length)
  })

  it('68: who reads a body while it is replaced reads it to its end, and keeps its chunks while reading', async () => {
    const store = tidy(CHUNKS)
    const { chunks } = await seen(store)
    await store.write(sampleHead('a'), streamed(20_000, 1))
    const reader = (await store.read('a'))?.body.open(0, 20_000).getReader()
    await reader?.read()
    await store.write(sampleHead('a'), small)
    await chunks.updateMany({}, { $set: { gone: new Date(Date.now() + 1000) } })
    let read = 4096
    for (let step = await reader?.read(); step?.done === false; step = await reader?.read()) {
      expect(step.value.every((byte) => byte === 1)).toBe(true)
      read += step.value.length
    }
    expect(read).toBe(20_000)
    const soonest = await chunks.findOne({}, { sort: { gone: 1 } })
    expect(Number(soonest?.['gone'])).toBeGreaterThan(Date.now() + 10_000)
  })

  it('B41: chunks that are gone fail the stream: of an entry that is there as corrupt, of one replaced not', async () => {
    const store = tidy(CHUNKS)
    const { chunks } = await seen(store)
    await store.write(sampleHead('a'), streamed(20_000))
    const held = await store.read('a')
    await chunks.deleteMany({})
    await expect(bodyOf(held)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    await store.write(sampleHead('a'), small)
    await expect(bodyOf(held)).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
  })

  describe('what is not as we wrote it', () => {
    const damages: readonly (readonly [string, Document])[] = [
      ['without a body', { $unset: { body: 1 } }],
      ['without metadata', { $unset: { meta: 1 } }],
      ['without our mark', { $unset: { keepfresh: 1 } }],
      ['other metadata', { $set: { meta: JSON.stringify(sampleMeta('a', { status: 201 })) } }],
      ['metadata that is an object', { $set: { meta: { kind: 'response' } } }],
      ['metadata that is no JSON', { $set: { meta: '{' } }],
      ['another key', { $set: { key: 'other' } }],
      ['a key that is an object', { $set: { key: { a: '' } } }],
      ['another date', { $set: { createdAt: 1001 } }],
      ['another expiry', { $set: { expiresAt: 1e15 } }],
      ['a date that is a text', { $set: { expiresAt: 'never' } }],
      ['another end', { $set: { keepUntil: 1e15 } }],
      ['an end that is a text', { $set: { keepUntil: 'never' } }],
      ['another body', { $set: { body: new Uint8Array([1, 2, 4]) } }],
      ['a shorter body', { $set: { body: new Uint8Array([1, 2]) } }],
      ['a body that is a text', { $set: { body: 'abc' } }],
      ['chunks that are none', { $unset: { body: 1 }, $set: { chunks: { id: 5 } } }],
      ['another size', { $set: { size: 4 } }],
      ['a version that is an object', { $set: { version: { a: 1 } } }],
      ['a version without checksums', { $set: { version: '0123456789abcdef' } }],
    ]
    it.each(damages)(
      'row 216, B40, 142: %s: ERR_STORE_CORRUPT, skipped in a listing unless only the body is it',
      async (_, damage) => {
        const store = tidy()
        const { entries } = await seen(store)
        await store.write(sampleHead('a'), small)
        await store.write(sampleHead('b'), small)
        const { _id } = (await entries.findOne({ key: 'a' })) ?? {}
        await entries.updateOne({ _id: _id ?? '' }, damage)
        await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
        const touchesHead = !/body|chunks|createdAt|size/.test(JSON.stringify(damage))
        expect(await all(store.keys())).toEqual(touchesHead ? ['b'] : expect.arrayContaining(['a', 'b']))
        expect((await all(store.entries({ limit: 1 }))).length).toBe(1)
        expect(await store.delete(['a'])).toBe(1)
        expect(await store.read('a')).toBe(undefined)
      },
    )

    it('a document of a later format is told as such, is not listed, and goes with clear()', async () => {
      const store = tidy()
      const { entries } = await seen(store)
      await store.write(sampleHead('a'), small)
      await entries.updateOne({}, { $set: { keepfresh: 3 } })
      await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_FORMAT' })
      expect([await all(store.keys()), (await store.size()).entries]).toEqual([[], 0])
      await store.clear()
      expect(await store.read('a')).toBe(undefined)
    })

    it('55: a document of format 1 is a miss, makes room with its chunks, and goes when it expired', async () => {
      const store = tidy(CHUNKS)
      const { entries, chunks } = await seen(store)
      const first = {
        createdAt: 1000,
        expiresAt: 61_000,
        keepUntil: 4e12,
        gone: new Date(4e12),
        size: 3,
        meta: { kind: 'response', status: 200, headers: [{ name: 'etag', value: '"1"' }] },
        version: '8d1f0c5b9e7a2346',
        sum: 1,
        crc: 2,
        keepfresh: 1,
      }
      const long = { size: 5, chunks: { id: '41c0e2a9b7d35f68', length: 4096 } }
      await chunks.insertOne({ _id: '41c0e2a9b7d35f68:0', data: new Uint8Array(5), crc: 1, gone: new Date(4e12) })
      await entries.insertOne({ _id: keyHash('short'), key: 'short', ...first, body: small })
      await entries.insertOne({ _id: keyHash('long'), key: 'long', ...first, ...long })
      expect([await store.read('short'), await store.readMany(['long', 'short'])]).toEqual([
        undefined,
        [undefined, undefined],
      ])
      expect(await store.update('short', sampleHead('short'), first.version)).toBe(false)
      expect([await all(store.keys()), (await store.size()).entries]).toEqual([[], 0])
      await store.write(sampleHead('long'), small)
      expect((await store.read('long'))?.body.size).toBe(3)
      expect(await chunks.findOne()).toMatchObject({ retired: true })
      expect(await store.deleteWhere({ expiredAt: 61_000 })).toBe(2)
    })

    it('documents of others in our collections are never listed, counted or removed', async () => {
      const store = tidy(CHUNKS)
      const { entries, chunks } = await seen(store)
      const foreign = { name: 'not ours', expiresAt: 5, createdAt: 5 }
      await entries.insertOne({ _id: 'foreign', ...foreign })
      await chunks.insertOne({ _id: 'foreign', ...foreign })
      await store.write(sampleHead('a'), streamed(5000))
      expect([await all(store.keys()), (await store.size()).entries]).toEqual([['a'], 1])
      await store.deleteWhere({ createdBefore: 1e15 })
      await store.clear()
      expect(await entries.find().toArray()).toEqual([{ _id: 'foreign', ...foreign }])
      expect(await chunks.findOne({ _id: 'foreign' })).not.toBe(null)
    })
  })

  it('138, 142: keys and names are data, whatever they look like', async () => {
    const store = tidy()
    const keys = ['$gt', '{"$gt":""}', 'a.b.c', '__proto__', '\0', '\ud800', '\udc00', '"\\ud800"', 'é', 'e\u0301']
    for (const [n, key] of keys.entries()) await store.write(sampleHead(key, { createdAt: n }), new Uint8Array([n]))
    for (const [n, key] of keys.entries()) {
      const entry = await store.read(key)
      expect([entry?.key, entry?.meta, entry?.createdAt, entry?.body.bytes?.[0]]).toEqual([key, sampleMeta(key), n, n])
    }
    expect(new Set(await all(store.keys()))).toEqual(new Set(keys))
    const condition = JSON.parse('{ "$gt": "" }') as string
    expect(() => store.read(condition)).toThrow(TypeError)
    await expect(store.delete([condition])).rejects.toThrow(TypeError)
    expect(await store.delete(keys)).toBe(keys.length)
  })

  it('metadata comes back as it was, whatever is in it', async () => {
    const store = tidy()
    const metas = [
      sampleMeta('a', {
        headers: [
          ['$where', 'x'],
          ['a.b', 'y'],
          ['__proto__', 'z'],
        ],
      }),
      sampleMeta('a', { tags: ['\ud800', 'a\\ud800', '\0'], requestTime: -0.5, responseTime: 9e15 }),
      sampleMeta('a', { selecting: [['n', null]], parts: null, total: null }),
    ]
    for (const meta of metas) {
      await store.write(sampleHead('a', { meta }), small)
      expect((await store.read('a'))?.meta).toEqual(meta)
      expect((await all(store.entries()))[0]?.meta).toEqual(meta)
    }
  })

  it('rows 200, 239, 146: stores of different collections or databases do not see each other', async () => {
    const base = freshCollection()
    const names = [base, `${base}.x`, `${base}*`, `${base}[a-z]`, `${base}?`, `${base}.chunks.x`]
    const stores = names.map((collection) => tidy({ collection }))
    for (const [n, store] of stores.entries()) await store.write(sampleHead('shared', { createdAt: n }), small)
    await stores[0]?.clear()
    for (const [n, store] of stores.entries()) {
      expect((await store.read('shared'))?.createdAt).toBe(n === 0 ? undefined : n)
    }
  })

  it('row 198: two stores on one collection see the same, each the other’s changes', async () => {
    const collection = freshCollection()
    const [a, b] = [tidy({ collection, ...CHUNKS }), new MongoStore({ url, database: DATABASE, collection, ...CHUNKS })]
    onTestFinished(() => b.close())
    for (const body of [small, new Uint8Array(5000).fill(3), small]) {
      await a.write(sampleHead('k'), body)
      expect(Buffer.compare(await bodyOf(await b.read('k')), body)).toBe(0)
      const { version = '' } = (await b.read('k')) ?? {}
      expect(await b.update('k', { ...sampleHead('k'), expiresAt: 7 }, version)).toBe(true)
      expect((await a.read('k'))?.expiresAt).toBe(7)
      await b.delete(['k'])
      expect(await a.read('k')).toBe(undefined)
    }
  })

  it('what the URL says: database and collection; and options of the driver beside them', async () => {
    const collection = freshCollection()
    const client = await plain()
    onTestFinished(() => removeCollections(client, collection))
    const store = new MongoStore(`${url}${DATABASE}?appName=x&collection=${collection}`)
    await store.write(sampleHead('a'), small)
    await store.close()
    expect(await client.db(DATABASE).collection(collection).countDocuments()).toBe(1)
  })

  it('a client given to us is not closed, and its own options change nothing', async () => {
    const options = { promoteValues: false, promoteBuffers: false, ignoreUndefined: false, raw: false }
    const client = await new MongoClient(url, options).connect()
    onTestFinished(() => client.close())
    const store = tidy({ client })
    await store.write(sampleHead('a'), small)
    expect((await store.read('a'))?.body.bytes).toEqual(Buffer.from(small))
    await store.close()
    expect((await client.db(DATABASE).command({ ping: 1 }))['ok']).toBeTruthy()
  })

  it('a client given to us that was closed is an error that says so', async () => {
    const client = await new MongoClient(url).connect()
    const store = new MongoStore({ client })
    await client.close()
    await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' })
    await store.close()
  })

  it('row 208: a listing of more than one batch is whole, and may be left early', async () => {
    const store = tidy()
    const { entries } = await seen(store)
    await store.write(sampleHead('k0', { createdAt: 0 }), small)
    const keys = Array.from({ length: 1200 }, (_, n) => `k${n}`)
    await Promise.all(keys.slice(1, 20).map((key, n) => store.write(sampleHead(key, { createdAt: n + 1 }), small)))
    // The rest by copies: they are not of their keys, and so not listed.
    const [first] = await entries.find().toArray()
    await entries.insertMany(keys.slice(20).map((key) => ({ ...first, _id: key })))
    expect((await all(store.entries())).length).toBe(20)
    expect((await all(store.entries({ order: 'created', limit: 5 }))).map(({ createdAt }) => createdAt)).toEqual([
      0, 1, 2, 3, 4,
    ])
    for await (const { key } of store.entries()) {
      expect(key).toMatch(/^k/)
      break
    }
    expect(await store.deleteWhere({ createdBefore: 1e15 })).toBe(1200)
  })

  it('the size is that of what is there', async () => {
    const store = tidy(CHUNKS)
    expect(await store.size()).toEqual({ entries: 0, bytes: expect.any(Number) as number })
    await store.write(sampleHead('a'), streamed(100_000))
    const { entries, bytes } = await store.size()
    expect([entries, bytes > 100_000]).toEqual([1, true])
  })

  it('a cached fetch over it: miss, hit, 304 and a long body', async () => {
    const origin = await startOrigin()
    onTestFinished(() => origin.close())
    const fetch = createCachedFetch({ store: tidy(), storeTimeout: 5 })
    onTestFinished(() => fetch.close())
    for (const path of ['/cache/60', '/large/300000?max-age=60']) {
      const first = await (await fetch(origin.url + path, { httpCache: { expireAfter: 60 } })).bytes()
      await expect
        .poll(async () => {
          const response = await fetch(origin.url + path)
          const body = await response.bytes()
          return response.fromCache && Buffer.compare(body, first) === 0
        })
        .toBe(true)
    }
  })

  it('69, 154: of many who want a lease that has ended, one gets it, and a claim that died with its maker ends, too', async () => {
    const collection = freshCollection()
    const stores = Array.from({ length: 4 }, () => new MongoStore({ url, database: DATABASE, collection }))
    const locks = (await plain()).db(DATABASE).collection<Document & { _id: string }>(`${collection}.locks`)
    onTestFinished(async () => {
      await Promise.all(stores.map((store) => store.close()))
      await locks.drop()
    })
    const end = (): Promise<unknown> => locks.updateMany({}, { $set: { until: 5 } })
    await stores[0]?.lock('l', 'dead', 60_000)
    for (let round = 0; round < 5; round++) {
      await end()
      const taken = await Promise.all(
        Array.from({ length: 20 }, (_, n) => stores[n % 4]?.lock('l', `owner ${round} ${n}`, 60_000)),
      )
      expect(taken.filter(Boolean)).toEqual([true])
      expect(await locks.countDocuments()).toBe(1)
    }
    const { _id: id, term }: Document = (await locks.findOne()) ?? {}
    await locks.insertOne({ _id: `${id}:${term}`, until: 5 })
    await end()
    expect([await stores[0]?.lock('l', 'a', 60_000), await stores[0]?.lock('l', 'a', 60_000)]).toEqual([false, true])
  })

  it('leases go by the server’s clock, and are for people to read', async () => {
    const store = tidy()
    expect(await store.lock('a lease', 'me', 60_000)).toBe(true)
    const lease = await (await plain()).db(DATABASE).collection(`${store.collection}.locks`).findOne()
    expect(lease).toMatchObject({ name: 'a lease', owner: 'me' })
    expect(Math.abs((lease?.['until'] as number) - Date.now() - 60_000)).toBeLessThan(10_000)
  })
})

it('types: a MongoClient is what the option takes, and a store is a ListableStore and a LockingStore', () => {
  const client: MongoOptions['client'] = new MongoClient('mongodb://h')
  const head: EntryHead = sampleHead('a')
  expect([typeof client?.db, head.key]).toEqual(['function', 'a'])
})
