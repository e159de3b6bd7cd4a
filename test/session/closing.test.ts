/** Row 12: closing fails nothing that was begun before, and all that comes after. */
import { describe, expect, test } from 'vitest'
import { MemoryStore, type Store } from '../../src/index.ts'
import { text, until, useBench } from '../checklist/support.ts'

const at = useBench()
const FRESH = { headers: { 'cache-control': 'max-age=60' }, body: 'b' }

/** A memory store that answers by promises, as one on a server does. */
function distant(): Store {
  const memory = new MemoryStore()
  const later = async <T>(value: T | Promise<T>): Promise<T> => value
  return {
    name: 'distant',
    limits: memory.limits,
    read: (key) => later(memory.read(key)),
    write: (head, body) => later(memory.write(head, body)),
    update: (key, change, version) => later(memory.update(key, change, version)),
    delete: (keys) => later(memory.delete(keys)),
    close: () => memory.close(),
  }
}

describe('row 12: a request that was begun before close()', () => {
  test('is answered from the store where it is there', async () => {
    at.answer('/row12', FRESH)
    for (const store of ['memory:', new MemoryStore(), distant()]) {
      const s = at.session({ store, autoClose: true })
      await text(s.get('/row12'))
      const begun = s.get('/row12', { httpCache: { onlyIfCached: true } })
      await s.close()
      expect([(await begun).status, await (await begun).text()]).toEqual([200, 'b'])
    }
  })

  test('is answered from the network where it is not', async () => {
    at.answer('/row12', FRESH)
    const s = at.session({ autoClose: true, store: new MemoryStore() })
    const begun = s.get('/row12')
    await s.close()
    expect(await text(begun)).toBe('b')
    await expect(s.get('/row12')).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
  })

  test('through a cached fetch, too, whose store is only being opened', async () => {
    at.answer('/row12', FRESH)
    for (const store of ['sqlite::memory:', distant()]) {
      const fetch = at.cached({ store, autoClose: true })
      const begun = fetch(`${at.origin.url}/row12`, {})
      const closed = fetch.close()
      const late = expect(fetch(`${at.origin.url}/row12`)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
      expect(await text(begun)).toBe('b')
      await late
      await closed
      await expect(fetch.cache.has(`${at.origin.url}/row12`)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    }
  })

  test('is not waited for longer than a store may take, and answered all the same', async () => {
    const held = Promise.withResolvers<void>()
    const slow: typeof fetch = async () => {
      await held.promise
      return new Response('b', { headers: FRESH.headers })
    }
    const s = at.session({ fetch: slow, storeTimeout: 0.01, hooks: { request: () => undefined } })
    const begun = s.get('/row12')
    await s.close()
    held.resolve()
    expect(await text(begun)).toBe('b')
  })

  test('is waited for by whoever closes once more, too', async () => {
    for (const kind of ['session', 'cached'] as const) {
      const held = Promise.withResolvers<void>()
      const slow: typeof fetch = async () => {
        await held.promise
        return new Response('b')
      }
      let closed = false
      const store = Object.assign(distant(), { close: () => void (closed = true) })
      const client = at[kind]({ fetch: slow, store, autoClose: true, storeTimeout: 0.05 })
      const begun = 'fetch' in client ? client.fetch('/row12') : client(at.origin.url)
      void client.close()
      await client.close()
      expect([kind, closed]).toEqual([kind, true])
      held.resolve()
      await begun
    }
  })

  test('even where a hook of it outlasts the closing', async () => {
    at.answer('/row12', FRESH)
    const held = Promise.withResolvers<void>()
    let hooked = false
    const request = (): Promise<void> => {
      hooked = true
      return held.promise
    }
    const s = at.session({ storeTimeout: 0.01, hooks: { request } })
    const begun = s.get('/row12', { timeout: 60 })
    await until(() => hooked)
    await s.close()
    held.resolve()
    expect(await text(begun)).toBe('b')
  })
})
