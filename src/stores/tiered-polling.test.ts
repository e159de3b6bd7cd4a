import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Store } from '../engine/ports.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { sampleHead } from '../testing/samples.ts'
import { MemoryStore } from './memory.ts'
import { SqliteStore } from './sqlite.ts'
import type { CoherenceListener } from './tiered-coherence.ts'
import { pollingCoherence } from './tiered-polling.ts'
import { TieredStore } from './tiered.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keepfresh-polling-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

class Heard implements CoherenceListener {
  readonly changes: (readonly string[] | null)[] = []
  readonly states: boolean[] = []
  changed(keys: readonly string[] | null): void {
    this.changes.push(keys)
  }
  connected(isConnected: boolean): void {
    this.states.push(isConnected)
  }
}

/** A participant that looks only when the test asks. */
async function joined(store: Store): Promise<ReturnType<typeof pollingCoherence> & { heard: Heard }> {
  const heard = new Heard()
  const coherence = pollingCoherence(store, { interval: 3600 })
  coherence.subscribe(heard)
  await coherence.poll()
  return Object.assign(coherence, { heard })
}

describe('B8: coherence by polling', () => {
  it('changes of others are seen with their keys, own ones are not', async () => {
    const store = new MemoryStore()
    const [a, b] = [await joined(store), await joined(store)]
    await a.publish(['first'])
    await Promise.all([a.poll(), b.poll()])
    // The log is new: to everyone, anything may have changed.
    expect([a.heard.changes, b.heard.changes]).toEqual([[null], [null]])
    await a.publish(['x', 'y'])
    await b.publish(['z'])
    await Promise.all([a.poll(), b.poll()])
    expect([a.heard.changes, b.heard.changes]).toEqual([
      [null, ['z']],
      [null, ['x', 'y']],
    ])
    await b.publish(null)
    await a.poll()
    await a.poll()
    expect(a.heard.changes).toEqual([null, ['z'], null])
    await Promise.all([a.close(), b.close()])
  })

  it('of changes published at once none is lost', async () => {
    const store = new SqliteStore(':memory:')
    const [a, b, c] = [await joined(store), await joined(store), await joined(store)]
    await a.publish([])
    await c.poll()
    c.heard.changes.length = 0
    const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
    await Promise.all(keys.map((key, n) => (n % 2 === 0 ? a : b).publish([key])))
    await c.poll()
    expect(c.heard.changes.flat().toSorted()).toEqual(keys.toSorted())
    for (const each of [a, b, c]) await each.close()
    store.close()
  })

  it('who looks too late, and who finds another log, takes everything for changed', async () => {
    const store = new MemoryStore()
    const [a, b] = [await joined(store), await joined(store)]
    await a.publish(['begin'])
    await b.poll()
    for (let n = 0; n < 300; n++) await a.publish([`k${n}`])
    await b.poll()
    await a.publish(Array.from({ length: 1000 }, (_, n) => `m${n}`))
    await b.poll()
    await a.publish(['k'.repeat(40_000)])
    await b.poll()
    store.clear()
    await b.poll()
    await a.publish(['after'])
    await b.poll()
    expect(b.heard.changes).toEqual([null, null, null, null, null, null])
    await Promise.all([a.close(), b.close()])
  })

  it('a store that fails is a channel that is down, until it answers again', async () => {
    const store = new FaultyStore(new MemoryStore())
    const a = await joined(store)
    store.fail('read', 'reject')
    await a.poll()
    await a.poll()
    await expect(a.publish(['k'])).rejects.toThrow('boom: read')
    store.heal()
    await a.poll()
    expect(a.heard.states).toEqual([true, false, true])
    await a.close()
  })

  it('38: a store that hangs is a channel that is down, until it answers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const store = new MemoryStore()
      const a = await joined(store)
      const answer = Promise.withResolvers<undefined>()
      store.read = () => answer.promise as never
      const looking = a.poll()
      await vi.advanceTimersByTimeAsync(4999)
      expect(a.heard.states).toEqual([true])
      await vi.advanceTimersByTimeAsync(1)
      expect(a.heard.states).toEqual([true, false])
      answer.resolve(undefined)
      await looking
      expect(a.heard.states).toEqual([true, false, true])
      await a.close()
    } finally {
      vi.useRealTimers()
    }
  })

  it('damaged and foreign logs are replaced', async () => {
    const store = new MemoryStore()
    store.write(sampleHead('keepfresh:changes'), new Uint8Array())
    const a = await joined(store)
    await a.publish(['k'])
    await a.poll()
    expect(a.heard.changes).toEqual([null])
    await a.close()
  })

  it('two tiered stores over one SQLite file: what one deletes, the other does not answer with', async () => {
    const open = (): TieredStore => {
      const far = new SqliteStore(join(dir, 'http.db'))
      return new TieredStore({ far, nearTtl: 3600, coherence: pollingCoherence(far, { interval: 0.01 }) })
    }
    const [a, b] = [open(), open()]
    await a.write(sampleHead('k'), new Uint8Array(3))
    await expect.poll(async () => (await b.read('k'))?.body.size).toBe(3)
    await a.delete(['k'])
    await expect.poll(async () => await b.read('k')).toBe(undefined)
    await a.close()
    await b.close()
  })
})
