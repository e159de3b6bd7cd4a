/** MongoStore when MongoDB fails: the caller gets the origin's response, the fault is an event, hits come back (B36-B41, B45, 161). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { MongoClient } from 'mongodb'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MongoStore, type MongoOptions } from '../../src/stores/mongodb.ts'
import { sampleHead } from '../../src/testing/samples.ts'
import { until } from '../engine/support.ts'
import { describeWithOwnServer, freePort, tcpProxy } from '../services/faults.ts'
import { faultOrigin, hiding, processSays, subjectOf, type Subject } from './support.ts'

const origin = faultOrigin()
const { ask, recovers } = origin
const PROCESS = 'mongodb-process.ts'

/** Times are short, so that faults are over soon. */
function subject(options: MongoOptions, storeTimeout = 0.25): Subject<MongoStore> {
  return subjectOf(new MongoStore({ connectTimeout: 500, commandTimeout: 500, ...options }), storeTimeout)
}

/** Asks until the store's failure was noticed; every answer is right meanwhile. */
async function fails(the: Subject): Promise<void> {
  const before = the.codes.length
  await until(async () => {
    await ask(the)
    return the.codes.length > before
  })
}

describeWithOwnServer('mongodb', (start) => {
  it('B36: down at the start: every request is answered, and hits come when it is there', async () => {
    const port = await freePort()
    const the = subject({ url: `mongodb://127.0.0.1:${port}` })
    for (let n = 0; n < 10; n++) await ask(the)
    expect(the.codes.length).toBeGreaterThan(0)
    await using _ = await start({ port })
    await recovers(the)
  })

  it('B36: used by itself while it is down, each use fails in time, as what it is', async () => {
    const port = await freePort()
    const store = new MongoStore({ url: `mongodb://127.0.0.1:${port}`, connectTimeout: 200 })
    onTestFinished(() => store.close())
    const calls = [
      () => store.read('a'),
      () => store.write(sampleHead('a'), new Uint8Array(1)),
      () => store.write(sampleHead('a'), new Blob([new Uint8Array(200_000)]).stream()),
      () => store.update('a', sampleHead('a'), '0123456789abcdef'.repeat(2)),
      () => store.delete(['a', 'b']),
      () => store.clear(),
      () => store.size(),
      () => store.keys().next(),
      () => store.deleteWhere({ expiredAt: 1 }),
      () => store.lock('l', 'me', 1000),
      () => store.ready(),
    ]
    for (const failure of await Promise.allSettled(calls.map((call) => call()))) {
      expect(failure).toMatchObject({ status: 'rejected', reason: { name: 'StoreError', code: 'ERR_STORE_OPEN' } })
    }
  })

  it('B36: strict: ready() and every use say what is wrong, for good', async () => {
    const port = await freePort()
    const url = `mongodb://user:s3cret@127.0.0.1:${port}/cache`
    const store = new MongoStore({ url, strict: true, connectTimeout: 200 })
    onTestFinished(() => store.close())
    const error: unknown = await store.ready().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_STORE_OPEN', message: expect.stringContaining('ECONNREFUSED') as string })
    expect(String(error)).not.toContain('s3cret')
    await using _ = await start({ port })
    await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' })
  })

  it('bad credentials, hosts and ports of others are told as such, and are no more than a miss otherwise', async () => {
    await using mongo = await start()
    const wrong: readonly (readonly [url: string, message: string])[] = [
      [mongo.url.replace('//', '//user:s3cret@'), 'check user name, password and authSource'],
      ['mongodb+srv://keepfresh.invalid/', 'cannot be reached'],
      [origin.url().replace('http', 'mongodb'), 'cannot be reached'],
    ]
    for (const [url, message] of wrong) {
      const the = subject({ url })
      await ask(the)
      const error: unknown = await the.store.ready().catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'ERR_STORE_OPEN', message: expect.stringContaining(message) as string })
      expect(String(error)).not.toContain('s3cret')
    }
  })

  const clients: readonly (readonly [string, (url: string) => MongoOptions])[] = [
    ['a client of ours', (url) => ({ url })],
    [
      'an existing client',
      (url) => {
        const client = new MongoClient(url, { serverSelectionTimeoutMS: 500, connectTimeoutMS: 500 })
        onTestFinished(() => client.close())
        return { client }
      },
    ],
  ]

  describe.each(clients)('%s', (_name, options) => {
    it('B37: killed and restarted in mid-run', async () => {
      await using mongo = await start()
      const the = subject(options(mongo.url))
      await recovers(the)
      await mongo.kill()
      await fails(the)
      for (let n = 0; n < 8; n++) await ask(the)
      await mongo.restart()
      await recovers(the)
    })

    it('B29, B38: it hangs: every request is answered, and hits come back when it goes on', async () => {
      await using mongo = await start()
      const the = subject(options(mongo.url), 0.1)
      await recovers(the)
      mongo.pause()
      await fails(the)
      for (let n = 0; n < 7; n++) await ask(the)
      expect(the.codes).toContain('ERR_STORE_TIMEOUT')
      mongo.resume()
      await recovers(the)
    })
  })

  it('B38: no command waits for ever: a store used by itself times out, and goes on', async () => {
    await using mongo = await start()
    const store = new MongoStore({ url: mongo.url, commandTimeout: 200, connectTimeout: 200 })
    onTestFinished(() => store.close())
    await until(() =>
      store.write(sampleHead('a'), new Uint8Array(3)).then(
        () => true,
        () => false,
      ),
    )
    mongo.pause()
    // The signal takes effect when it does.
    await until(() =>
      store.read('a').then(
        () => false,
        () => true,
      ),
    )
    for (const call of [() => store.read('a'), () => store.size(), () => store.keys().next()]) {
      await expect(call()).rejects.toMatchObject({ name: 'StoreError' })
    }
    mongo.resume()
    await until(() =>
      store.read('a').then(
        (entry) => entry !== undefined,
        () => false,
      ),
    )
  })

  it('161: closing while it hangs ends, too', async () => {
    await using mongo = await start()
    await using proxy = await tcpProxy(mongo.port)
    const url = `mongodb://${proxy.address}`
    const store = new MongoStore({ url, commandTimeout: 200, connectTimeout: 200 })
    await store.ready()
    proxy.cut()
    const reading = store.read('a').catch((error: unknown) => error)
    await store.close()
    expect(await reading).toMatchObject({ name: 'StoreError' })
  })

  it('B36: an existing client whose first attempt to connect failed is made to connect when it can', async () => {
    const port = await freePort()
    const client = new MongoClient(`mongodb://127.0.0.1:${port}`, { serverSelectionTimeoutMS: 200 })
    onTestFinished(() => client.close())
    const store = new MongoStore({ client })
    onTestFinished(() => store.close())
    const answers = (): Promise<boolean> =>
      store.read('a').then(
        () => true,
        () => false,
      )
    for (let n = 0; n < 3; n++) expect(await answers()).toBe(false)
    await using _ = await start({ port })
    await until(answers)
  })

  it('B41, 68: a body whose server dies while it streams fails as a whole read, never short', async () => {
    await using mongo = await start()
    const store = new MongoStore({ url: mongo.url, inlineSize: 1000, chunkSize: 65_536, connectTimeout: 500 })
    onTestFinished(() => store.close())
    await store.write(sampleHead('a'), new Uint8Array(300_000))
    const reader = (await store.read('a'))?.body.open(0, 300_000).getReader()
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0)
    await mongo.kill()
    const rest = async (): Promise<void> => {
      while ((await reader?.read())?.done === false);
    }
    await expect(rest()).rejects.toMatchObject({ name: 'StoreError' })
  })

  it('B47: a writer cut off in the middle leaves what was there, and its own chunks a date to go', async () => {
    await using mongo = await start()
    await using proxy = await tcpProxy(mongo.port)
    const CHUNKS = { inlineSize: 1000, chunkSize: 50_000 }
    const store = new MongoStore({ url: `mongodb://${proxy.address}/db`, ...CHUNKS, connectTimeout: 300 })
    onTestFinished(() => store.close())
    await store.write(sampleHead('a'), new Uint8Array([1, 2, 3]))
    let left = 6
    const cutOff = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left === 2) proxy.refuse()
        controller.enqueue(new Uint8Array(50_000))
        if (--left === 0) controller.close()
      },
    })
    await expect(store.write(sampleHead('a'), cutOff)).rejects.toMatchObject({ name: 'StoreError' })
    await proxy.heal()
    const direct = new MongoStore({ url: `${mongo.url}db`, ...CHUNKS })
    onTestFinished(() => direct.close())
    expect((await direct.read('a'))?.body.bytes).toEqual(Buffer.from([1, 2, 3]))
    const client = new MongoClient(mongo.url)
    onTestFinished(() => client.close())
    const chunks = await client.db('db').collection('entries.chunks').find().toArray()
    expect(chunks.length).toBeGreaterThan(0)
    expect(chunks.every(({ gone }) => gone instanceof Date && gone.getTime() < Date.now() + 3_700_000)).toBe(true)
  })

  it('B38, B39: behind a connection that delays, cuts, resets, dribbles, ends early or refuses', async () => {
    await using mongo = await start()
    await using proxy = await tcpProxy(mongo.port)
    const the = subject({ url: `mongodb://${proxy.address}`, commandTimeout: 300, connectTimeout: 300 }, 0.1)
    await recovers(the)
    const faults: readonly (() => void)[] = [
      () => proxy.delay(5000),
      () => proxy.cut(),
      () => proxy.reset(),
      () => proxy.dribble(),
      () => proxy.truncate(20),
      () => proxy.refuse(),
    ]
    for (const fault of faults) {
      fault()
      for (let n = 0; n < 3; n++) await ask(the)
      await proxy.heal()
      await recovers(the)
    }
  })

  it('161: a process that never closes its store ends by itself, whether MongoDB is there or not', async () => {
    await using mongo = await start()
    const ends = (options: MongoOptions, url: string): Promise<string> =>
      processSays(PROCESS, { idleTimeout: 500, ...options }, url)
    const down = { url: `mongodb://127.0.0.1:${await freePort()}`, connectTimeout: 300 }
    const thing = `${origin.url()}/thing`
    const results = await Promise.all([
      ends({ url: mongo.url }, thing),
      ends({ url: mongo.url }, ''),
      ends(down, thing),
      ends(down, ''),
    ])
    expect(results).toEqual([
      '[false,true,true]',
      'answered',
      '[false,false,false]',
      expect.stringMatching(/^ERR_STORE_OPEN: /),
    ])
  })

  it('161: a client that was closed as idle is made anew at the next use', async () => {
    await using mongo = await start()
    await using proxy = await tcpProxy(mongo.port)
    const options = JSON.stringify({ url: `mongodb://${proxy.address}`, idleTimeout: 100 })
    const script = fileURLToPath(new URL(PROCESS, import.meta.url))
    const child = spawn(process.execPath, [script, options, 'again'], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    let output = ''
    child.stdout.on('data', (data: Buffer) => (output += data.toString()))
    await until(() => output === 'answered\n')
    await until(() => proxy.open === 0)
    child.stdin.end('go on\n')
    expect(await ended).toEqual([0, null])
    expect(output).toBe('answered\nanswered\n')
  })
})

it('a missing package is an error that names it and how to get it', async () => {
  const output = await processSays(PROCESS, {}, '', { nodeArgs: hiding('mongodb') })
  expect(output).toMatch(/^ERR_MISSING_PEER: .*npm install mongodb/)
})
