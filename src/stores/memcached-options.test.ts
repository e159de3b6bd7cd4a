import { describe, expect, it } from 'vitest'
import { OptionError, StoreError } from '../errors.ts'
import { sampleHead } from '../testing/index.ts'
import { settingsOf, type MemcachedOptions } from './memcached-options.ts'
import { MemcachedClient, MemcachedStore } from './memcached.ts'

const wrong = (options: object): unknown => {
  try {
    settingsOf(options as MemcachedOptions)
    return null
  } catch (error) {
    return error
  }
}

describe('the options of MemcachedStore (B7, S3)', () => {
  it('have defaults that suit a server with its own', () => {
    expect(settingsOf({})).toEqual({
      servers: 'localhost',
      client: null,
      namespace: 'keepfresh',
      connection: {},
      limits: { inlineSize: 65_536, maxEntrySize: 33_554_432, persistent: true, shared: true },
      chunkSize: 921_600,
      strict: false,
    })
  })

  it('may be a URL, with a namespace; the option wins over it', () => {
    const url = 'memcached://a:1,b:2/app'
    expect([settingsOf(url).namespace, settingsOf({ servers: url, namespace: 'own' }).namespace]).toEqual([
      'app',
      'own',
    ])
  })

  it.each([
    ['server', { server: 'a' }, 'ERR_OPTION_UNKNOWN', /Did you mean `servers`/],
    ['servers', { servers: 5 }, 'ERR_OPTION_VALUE', /string or an array/],
    ['servers', { servers: 'http://a/b/c' }, 'ERR_OPTION_VALUE', /memcached:\/\//],
    ['namespace', { namespace: 'a b' }, 'ERR_OPTION_VALUE', /printable ASCII/],
    ['namespace', { namespace: 'a\r\nflush_all' }, 'ERR_OPTION_VALUE', /printable ASCII/],
    ['namespace', { namespace: 'n'.repeat(151) }, 'ERR_OPTION_VALUE', /150/],
    ['timeout', { timeout: 0 }, 'ERR_OPTION_VALUE', /from 1/],
    ['chunkSize', { chunkSize: 10 }, 'ERR_OPTION_VALUE', /from 1024/],
    ['inlineSize', { inlineSize: 2000, chunkSize: 1024 }, 'ERR_OPTION_VALUE', /larger than chunkSize/],
    ['strict', { strict: 'yes' }, 'ERR_OPTION_VALUE', /boolean/],
    ['client', { client: { get() {} } }, 'ERR_OPTION_VALUE', /no `gets`/],
    ['timeout', { client: new MemcachedClient('a'), timeout: 5 }, 'ERR_OPTION_VALUE', /no effect beside `client`/],
  ])('%s: %j is refused', (option, options, code, message) => {
    const error = wrong(options)
    expect(error).toBeInstanceOf(OptionError)
    expect(error).toMatchObject({ option, code, message: expect.stringMatching(message) })
  })

  it('B36: with no server there, the store is made, and writes and deletions fail, ready() says why', async () => {
    // Port 1 of this machine: nothing listens there, and the answer is at once.
    const store = new MemcachedStore({ servers: '127.0.0.1:1' })
    await expect(store.ready()).rejects.toMatchObject({ code: 'ERR_STORE_OPEN', message: /127\.0\.0\.1:1\b/ })
    // Known to be down: a miss. What should change there must not look done.
    expect(await store.read('k')).toBe(undefined)
    await expect(store.write(sampleHead('k'), new Uint8Array())).rejects.toBeInstanceOf(StoreError)
    await expect(store.delete(['k'])).rejects.toBeInstanceOf(StoreError)
    await expect(store.lock('l', 'me', 1000)).rejects.toBeInstanceOf(StoreError)
    await store.close()
  })

  it('B36: strict is an error each time, and says which server', async () => {
    const store = new MemcachedStore({ servers: ['127.0.0.1:1'], strict: true })
    for (let n = 0; n < 3; n++) {
      await expect(store.read('k')).rejects.toMatchObject({ code: 'ERR_STORE_OPEN', message: /127\.0\.0\.1:1\b/ })
    }
    await store.close()
  })
})

it('MemcachedClient: an unknown option or a wrong value is refused where it is given', () => {
  const make = (options: object) => (): MemcachedClient => new MemcachedClient('localhost', options)
  expect(make({ timeot: 5 })).toThrow(/`timeout`/)
  expect(make({ timeout: 0 })).toThrow(/from 1 to 3600000/)
  expect(make({ tls: true })).toThrow(/`tls` must be an object/)
})
