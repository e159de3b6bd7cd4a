/** Feature S5: a message names the option, shows what was given, and says what would do, or where it belongs. */
import { describe, expect, test } from 'vitest'
import { CachedSession, createCachedFetch, OptionError, type SessionOptions } from '../../src/index.ts'

function told(options: unknown): string {
  try {
    void new CachedSession(options as SessionOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(OptionError)
    return (error as OptionError).message
  }
  return 'nothing'
}

describe('what was given is shown', () => {
  test.each<[object, string]>([
    [{ allowedStatusCodes: ['200'] }, "not ['200']"],
    [{ tags: [''] }, "not ['']"],
    [{ refreshAhead: { afer: 1 } }, 'not { afer }'],
    [{ expireAfterByStatus: { '4xx': '1m' } }, 'not { 4xx }'],
    [{ store: {} }, 'not {}'],
    [{ store: new Map() }, 'not a Map'],
    [{ expireAfter: [] }, 'expireAfter: [] is not a duration'],
    [{ expireAfter: { minutes: 5 } }, 'expireAfter: { minutes } is not a duration'],
    [{ expireAfter: 5n }, 'expireAfter: 5n is not a duration'],
    [{ timeout: '5 s' }, "timeout: '5 s' is not a duration"],
    [{ timeout: { total: -1 } }, 'timeout.total must be above 0'],
    [{ timeout: { connect: 5 } }, 'not { connect }'],
  ])('%o', (options, message) => {
    expect(told(options)).toContain(message)
  })

  test('no value of an object, which may be a secret, and none of a list of headers', () => {
    expect(told({ store: { url: 'redis://user:secret@host' } })).toContain('not { url }')
    expect(told({ auth: { user: 'u', password: 'secret' } })).not.toContain('secret')
    expect(told({ headers: [['authorization', 'secret', 'x']] })).not.toContain('secret')
    expect(told({ headers: { authorization: 'sec\nret' } })).not.toContain('sec')
  })
})

describe('what would do is said', () => {
  test.each<[object, string]>([
    [{ expireAfter: '60' }, "(a number is 60, a text '60s')"],
    [{ staleIfError: new Date() }, 'a date is no length of time'],
    [{ headers: 'accept: text/html' }, "headers must be an object such as { accept: 'text/html' }"],
    [{ headers: { 'a b': 'c' } }, 'headers must be an object'],
    [{ params: 5 }, 'params'],
    [{ prefixUrl: 'http://a.test' }, 'did you mean baseUrl?'],
    [{ maxEntries: 5 }, 'maxEntries is an option of a store'],
    [{ use_temp: true }, 'useTemp is an option of a store'],
    [{ dispatcher: {} }, 'dispatcher is for fetch'],
    [{ serializer: 'json' }, 'encrypted()'],
  ])('%o', (options, message) => {
    expect(told(options)).toContain(message)
  })

  test('row 64: a keyFn that gives no key is told so', async () => {
    for (const [key, shown] of [
      [undefined, 'undefined'],
      [5, '5'],
      ['', '""'],
      [5n, '5'],
      [Symbol('k'), 'Symbol(k)'],
    ] as const) {
      const keyFn = async (): Promise<never> => key as never
      const fetch = createCachedFetch({ keyFn, fetch: async () => new Response('x') })
      await expect(fetch('http://a.test/')).rejects.toThrow(`keyFn must return a non-empty string, not ${shown}`)
      await fetch.close()
    }
  })

  test('a timeout is a duration like any other', async () => {
    const never = async (_input: unknown, init?: RequestInit): Promise<Response> =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)))
    await using session = new CachedSession({ fetch: never, timeout: { total: '30s', headers: '0.01s' } })
    await expect(session.get('http://a.test/')).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('the cache modes are typed without the types of a browser', async () => {
    const fetch = createCachedFetch({ fetch: async () => new Response('x') })
    expect((await fetch('http://a.test/', { cache: 'only-if-cached' })).status).toBe(504)
    await fetch.close()
  })
})
