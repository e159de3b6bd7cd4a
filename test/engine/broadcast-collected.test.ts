/** Row 247, RELIABILITY 162: a client that nobody holds any more is collected, whatever channel it listened to. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createCachedFetch, MemoryStore, type CacheOptions, type InvalidationChannel } from '../../src/index.ts'
import { until } from './support.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

type Listener = Parameters<InvalidationChannel['subscribe']>[0]

/** A channel that outlives its listeners. */
function channel(): InvalidationChannel & { readonly listeners: Set<Listener> } {
  const listeners = new Set<Listener>()
  return {
    listeners,
    publish: (told) => {
      for (const listener of listeners) listener(told)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}

/** In a function of its own: its variables are gone when it has returned. */
function dropped(broadcast: NonNullable<CacheOptions['broadcast']>): WeakRef<MemoryStore> {
  const store = new MemoryStore()
  createCachedFetch({ store, broadcast })
  return new WeakRef(store)
}

async function collected(store: WeakRef<MemoryStore>): Promise<boolean> {
  await until(() => {
    collect()
    return store.deref() === undefined
  })
  return store.deref() === undefined
}

test('row 247: a channel of one\u2019s own keeps no client, and what it tells later ends the listening', async () => {
  const mine = channel()
  const store = dropped(mine)
  expect(mine.listeners.size).toBe(1)
  expect(await collected(store)).toBe(true)
  await mine.publish({ keys: ['k'], tags: [], mode: 'delete', urls: [] })
  expect(mine.listeners.size).toBe(0)
})

test('row 247: neither does that between threads', async () => {
  expect(await collected(dropped('collected'))).toBe(true)
})
