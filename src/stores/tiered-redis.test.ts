import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { describeWithService } from '../../test/services/registry.ts'
import { tcpProxy } from '../../test/services/tcp-proxy.ts'
import { OptionError } from '../errors.ts'
import { sampleHead } from '../testing/samples.ts'
import { MemoryStore } from './memory.ts'
import type { Coherence, CoherenceListener } from './tiered-coherence.ts'
import { redisCoherence } from './tiered-redis.ts'
import { TieredStore } from './tiered.ts'

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

describe('redisCoherence: options', () => {
  it('takes a URL or a client, and nothing else', () => {
    expect(() => redisCoherence({})).toThrow(OptionError)
    expect(() => redisCoherence(JSON.parse('{"client":{}}'))).toThrow(/must be a client/)
    expect(() => redisCoherence(JSON.parse('{"urll":"x"}'))).toThrow(/Did you mean `url`/)
  })
})

describeWithService('redis', ({ url }) => {
  const endings: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of endings.splice(0)) await end()
  })

  const ways: Readonly<Record<string, (channel: string, at?: string) => Promise<Coherence>>> = {
    'by URL': async (channel, at = url) => redisCoherence({ url: at, channel }),
    'by a client of redis': async (channel, at = url) => {
      const client = createClient({ url: at })
      client.on('error', () => undefined)
      await client.connect()
      endings.push(() => client.destroy())
      return redisCoherence({ client, channel })
    },
    'by ioredis': async (channel, at = url) => {
      const client = new Redis(at)
      client.on('error', () => undefined)
      endings.push(() => client.disconnect())
      return redisCoherence({ client, channel })
    },
  }

  const listening = async (coherence: Coherence): Promise<Heard> => {
    const heard = new Heard()
    coherence.subscribe(heard)
    endings.unshift(() => coherence.close())
    await expect.poll(() => heard.states, { timeout: 10_000 }).toEqual([true])
    return heard
  }

  for (const [name, make] of Object.entries(ways)) {
    it(`B8: changes of others arrive, own ones do not: ${name}`, async () => {
      const channel = `keepfresh-test:${randomUUID()}`
      const [one, two] = [await make(channel), await make(channel)]
      const [first, second] = [await listening(one), await listening(two)]
      const many = Array.from({ length: 1200 }, (_, n) => `key ${n} \u2603`)
      await one.publish(many)
      await two.publish(null)
      await expect.poll(() => [second.changes.flat().length, first.changes]).toEqual([1200, [null]])
      expect(second.changes.flat()).toEqual(many)
    })

    it(`a connection that is reset is a channel that is down, and comes back: ${name}`, async () => {
      const channel = `keepfresh-test:${randomUUID()}`
      const proxy = await tcpProxy(Number(new URL(url).port))
      endings.push(() => proxy.close())
      const [one, two] = [await make(channel, `redis://${proxy.address}`), await make(channel)]
      const heard = await listening(one)
      proxy.reset()
      await expect.poll(() => heard.states, { timeout: 10_000 }).toEqual([true, false, true])
      await two.publish(['after'])
      await expect.poll(() => heard.changes).toEqual([['after']])
      await two.close()
    })
  }

  it('a message that is none of ours: anything may have changed', async () => {
    const channel = `keepfresh-test:${randomUUID()}`
    const heard = await listening(redisCoherence({ url, channel }))
    const client = createClient({ url })
    await client.connect()
    endings.push(() => client.destroy())
    for (const message of ['', '{', '7', 'null', '{"by":"x","keys":[7]}']) await client.publish(channel, message)
    await expect.poll(() => heard.changes.length).toBe(5)
    expect(heard.changes.every((keys) => keys === null)).toBe(true)
  })

  it('two tiered stores: what one deletes, the other does not answer with', async () => {
    const channel = `keepfresh-test:${randomUUID()}`
    const far = new MemoryStore()
    const [one, two] = [redisCoherence({ url, channel }), redisCoherence({ url, channel })]
    const [a, b] = [one, two].map((coherence) => new TieredStore({ far, nearTtl: 3600, coherence }))
    if (a === undefined || b === undefined) throw new Error('unreachable')
    endings.push(
      () => a.close(),
      () => b.close(),
    )
    await a.write(sampleHead('k'), new Uint8Array(3))
    await expect.poll(async () => (await b.read('k'))?.body.size).toBe(3)
    await a.delete(['k'])
    await expect.poll(async () => await b.read('k')).toBe(undefined)
  })
})
