/** DynamoStore when DynamoDB fails: the caller gets the origin's response, the fault is an event, hits come back (B36-B41, B45, 161). */
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { describe, expect, it, onTestFinished } from 'vitest'
import { DynamoStore, type DynamoOptions } from '../../src/stores/dynamodb.ts'
import { sampleHead } from '../../src/testing/samples.ts'
import { until } from '../engine/support.ts'
import { describeWithOwnServer, freePort, tcpProxy } from '../services/faults.ts'
import { clientConfig, localOptions } from '../stores/dynamodb-support.ts'
import { faultOrigin, hiding, processSays, subjectOf, type Subject } from './support.ts'

const origin = faultOrigin()
const { ask, recovers } = origin

function subject(options: DynamoOptions, storeTimeout = 0.5): Subject<DynamoStore> {
  return subjectOf(new DynamoStore({ createIfNotExists: true, requestTimeout: 600, ...options }), storeTimeout)
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  const [result] = await Promise.allSettled([work])
  return result?.status === 'fulfilled'
}

function existing(endpoint: string): DynamoOptions {
  const client = new DynamoDBClient(clientConfig(endpoint))
  onTestFinished(() => client.destroy())
  return { client }
}

function freshTable(endpoint: string): DynamoOptions {
  return { ...localOptions(endpoint), table: `t-${randomUUID()}`, createIfNotExists: true }
}

/** What a process says that has neither credentials nor a home. */
function says(options: DynamoOptions, url: string, nodeArgs: readonly string[] = []): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nonexistent' }
  return processSays('dynamodb-process.ts', options, url, { nodeArgs, env })
}

describeWithOwnServer('dynamodb', (start) => {
  it('B36, B37: down at the start, there, killed and restarted empty: every request is answered, and hits come back', async () => {
    const port = await freePort()
    const endpoint = `http://127.0.0.1:${port}`
    const ours = subject(localOptions(endpoint))
    const given = subject(existing(endpoint))
    for (const the of [ours, given]) {
      for (let n = 0; n < 7; n++) await ask(the)
      expect(new Set(the.codes)).toEqual(new Set(['ERR_STORE_OPEN']))
    }
    const alone = new DynamoStore(localOptions(endpoint))
    onTestFinished(() => alone.close())
    const failures = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => alone.read(`key ${n}`)))
    expect(failures.every(({ status }) => status === 'rejected')).toBe(true)
    await using server = await start({ port })
    for (const the of [ours, given]) await recovers(the)
    await server.kill()
    for (const the of [ours, given]) {
      the.codes.length = 0
      for (let n = 0; n < 8; n++) await ask(the)
      expect(the.codes.length).toBeGreaterThan(0)
    }
    await server.restart()
    for (const the of [ours, given]) await recovers(the)
  })

  it('B29, B38: it hangs: every request is answered, no use of the store waits for ever, and hits come back', async () => {
    await using server = await start()
    const ours = subject(localOptions(server.url), 0.1)
    const given = subject(existing(server.url), 0.1)
    for (const the of [ours, given]) {
      await the.store.ready()
      await ask(the)
      await recovers(the)
    }
    server.pause()
    for (const the of [ours, given]) {
      for (let n = 0; n < 7; n++) await ask(the)
      expect(the.codes).toContain('ERR_STORE_TIMEOUT')
      await expect(the.store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
      await expect(the.store.write(sampleHead('a'), new Uint8Array(3))).rejects.toMatchObject({
        code: 'ERR_STORE_TIMEOUT',
      })
    }
    server.resume()
    for (const the of [ours, given]) await recovers(the)
  })

  it('B39: behind a connection that delays, cuts, resets, dribbles or ends early', async () => {
    await using server = await start()
    await using proxy = await tcpProxy(server.port)
    const the = subject(localOptions(`http://${proxy.address}`), 0.2)
    await the.store.ready()
    await ask(the)
    await recovers(the)
    const faults: readonly (() => void)[] = [
      () => proxy.delay(5000),
      () => proxy.cut(),
      () => proxy.reset(),
      () => proxy.dribble(),
      () => proxy.truncate(20),
      () => proxy.truncate(400),
      () => proxy.refuse(),
    ]
    for (const fault of faults) {
      fault()
      for (let n = 0; n < 3; n++) await ask(the)
      await proxy.heal()
      await recovers(the)
    }
  })

  it('B41, 68: a body whose server falls silent fails as a whole read, never short; 48: nor is half of one stored', async () => {
    await using server = await start()
    await using proxy = await tcpProxy(server.port)
    const options = { ...localOptions(`http://${proxy.address}`), inlineSize: 1000, chunkSize: 65_536 }
    const store = new DynamoStore({ ...options, createIfNotExists: true, requestTimeout: 500 })
    onTestFinished(() => store.close())
    await store.ready()
    await store.write(sampleHead('a'), new Blob([new Uint8Array(300_000)]).stream())
    const reader = (await store.read('a'))?.body.open(0, 300_000).getReader()
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0)
    proxy.cut()
    const rest = async (): Promise<void> => {
      while ((await reader?.read())?.done === false);
    }
    await expect(rest()).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    await proxy.heal()
    await until(() => succeeds(store.read('a')))
    let left = 5
    const cut = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (left === 2) proxy.cut()
          controller.enqueue(new Uint8Array(65_536))
          if (--left === 0) controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    await expect(store.write(sampleHead('b'), cut)).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    await proxy.heal()
    await until(() => succeeds(store.read('b')))
    expect(await store.read('b')).toBe(undefined)
  })

  it('161: the process ends by itself, whether DynamoDB is there or not', async () => {
    await using server = await start()
    const nowhere = `http://127.0.0.1:${await freePort()}`
    const thing = `${origin.url()}/thing`
    const [there, waiting, missing, alone] = await Promise.all([
      says(freshTable(server.url), thing),
      says(freshTable(server.url), ''),
      says(freshTable(nowhere), thing),
      says(freshTable(nowhere), ''),
    ])
    expect([there, waiting]).toEqual(['[false,true,true]', 'answered'])
    // A request that finds another's response on its way into the store shares it.
    expect(missing).toMatch(/^\[false,(true|false),(true|false)\]$/)
    expect(alone).toMatch(/^ERR_STORE_OPEN: /)
  })
})

/** A server that answers every request in the same way. */
async function scripted(
  answer: (response: ServerResponse) => void,
): Promise<{ endpoint: string; count: () => number }> {
  let count = 0
  const server = createServer((request, response) => {
    count++
    request.resume().on('end', () => answer(response))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => count }
}

function refusal(type: string, message = 'No.', status = 400): (response: ServerResponse) => void {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
    response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message }))
  }
}

describe('what DynamoDB says', () => {
  it.each<[string, (response: ServerResponse) => void, string, string, number]>([
    ['throttled', refusal('ProvisionedThroughputExceededException'), 'ERR_STORE_BUSY', 'raise its capacity', 2],
    ['throttled by the account', refusal('ThrottlingException'), 'ERR_STORE_BUSY', 'throttled', 2],
    ['wrong credentials', refusal('UnrecognizedClientException'), 'ERR_STORE_OPEN', 'check credentials', 1],
    ['wrong signature', refusal('InvalidSignatureException', 'No.\nToken: s3cret'), 'ERR_STORE_OPEN', 'credentials', 1],
    ['no permission', refusal('AccessDeniedException'), 'ERR_STORE_OPEN', 'lists the permissions', 1],
    ['no table', refusal('ResourceNotFoundException'), 'ERR_STORE_OPEN', 'createIfNotExists', 1],
    [
      'other keys',
      refusal('ValidationException', 'The provided key element does not match the schema'),
      'ERR_STORE_FORMAT',
      'partition key of type S',
      1,
    ],
    [
      'too large',
      refusal('ValidationException', 'Item size has exceeded the maximum allowed size'),
      'ERR_STORE_FULL',
      '400 KB',
      1,
    ],
    ['something else', refusal('ValidationException', 'Whatever'), 'ERR_STORE_FAILED', 'Whatever', 1],
    ['its own failure', refusal('InternalServerError', 'Oops', 500), 'ERR_STORE_FAILED', 'Oops', 2],
    ['no JSON', (response) => response.end('<html>'), 'ERR_STORE_FAILED', "table 'http_cache'", 1],
    ['nothing', (response) => response.destroy(), 'ERR_STORE_FAILED', "table 'http_cache'", 2],
  ])('%s: a clear error, few attempts, and the caller is answered', async (_, answer, code, words, attempts) => {
    const { endpoint, count } = await scripted(answer)
    const the = subject({ ...localOptions(endpoint), createIfNotExists: false, requestTimeout: 3000 }, 5)
    const failure: unknown = await the.store.read('a').catch((error: unknown) => error)
    expect(failure).toMatchObject({ code, message: expect.stringContaining(words) as string })
    expect(String(failure)).not.toContain('s3cret')
    expect(count()).toBe(attempts)
    expect(await ask(the)).toBe(false)
    expect(the.codes).toContain(code)
  })

  it('B30: answers of another shape are a miss or an error, and nothing is served', async () => {
    const shapes = [
      {},
      { Item: {} },
      { Item: { head: { B: 'AAAA' } } },
      { Item: { head: { B: '' }, value: { N: '1' } } },
      [],
    ]
    for (const shape of shapes) {
      const { endpoint } = await scripted((response) => response.end(JSON.stringify(shape)))
      expect(await ask(subject(localOptions(endpoint), 5))).toBe(false)
    }
  })
})

describe('before any request', () => {
  it('no region, no credentials: the error says where to put them', async () => {
    const endpoint = 'http://127.0.0.1:1'
    const [noRegion, noCredentials] = await Promise.all([
      says({ clientOptions: { endpoint, credentials: { accessKeyId: 'a', secretAccessKey: 'b' } } }, ''),
      says({ clientOptions: { endpoint, region: 'eu-central-1' } }, ''),
    ])
    expect(noRegion).toMatch(/^ERR_STORE_OPEN: .*set AWS_REGION/)
    expect(noCredentials).toMatch(/^ERR_STORE_OPEN: .*check credentials/)
  })

  it('credentials that never come do not hold a request up', async () => {
    const never = { ...clientConfig('http://127.0.0.1:1'), credentials: () => new Promise<never>(() => undefined) }
    const the = subject({ clientOptions: never, requestTimeout: 100 })
    expect(await ask(the)).toBe(false)
    await expect(the.store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
  })

  it('a host that is not there is told as such', async () => {
    const the = subject(localOptions('http://no-such-host.invalid'), 5)
    expect(await ask(the)).toBe(false)
    expect(the.codes).toContain('ERR_STORE_OPEN')
  })

  it('B36: strict: ready() and every use say what is wrong, for good', async () => {
    const store = new DynamoStore({ ...localOptions(`http://127.0.0.1:${await freePort()}`), strict: true })
    onTestFinished(() => store.close())
    const unreachable = { code: 'ERR_STORE_OPEN', message: expect.stringContaining('cannot be reached') as string }
    await expect(store.ready()).rejects.toMatchObject(unreachable)
    await expect(store.read('a')).rejects.toMatchObject(unreachable)
    await expect(store.lock('l', 'me', 1000)).rejects.toMatchObject(unreachable)
  })

  it('a missing package is an error that names it and how to get it', async () => {
    const output = await says({}, '', hiding('@aws-sdk/client-dynamodb'))
    expect(output).toMatch(/^ERR_MISSING_PEER: .*npm install @aws-sdk\/client-dynamodb/)
  })
})
