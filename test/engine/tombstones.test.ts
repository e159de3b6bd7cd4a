/** RELIABILITY 65: what was being written when it was deleted is not seen, in whatever order its writes come to an end. */
import { expect, test } from 'vitest'
import { MemoryStore, type Store } from '../../src/index.ts'
import { Events } from '../../src/engine/events.ts'
import type { EntryHead } from '../../src/engine/ports.ts'
import { StoreGuard } from '../../src/engine/store-guard.ts'
import { NEVER } from '../../src/engine/ports.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { settled } from '../reliability/support.ts'

const KEY = 'k'

test('D65: a newer write that ends first does not uncover an older one that lands after it', async () => {
  const { guard, clock, write } = slow()
  const old = write()
  clock.advance(10)
  await guard.delete([KEY])
  clock.advance(10)
  const newer = write()
  await newer.land()
  expect((await guard.readAnew(KEY))?.createdAt).toBe(newer.createdAt)
  await old.land()
  expect(await guard.readAnew(KEY)).toBeUndefined()
})

test('D65: once no write is under way, one that began after the delete is seen, whatever the clock says', async () => {
  const { guard, clock, write } = slow()
  const old = write()
  clock.advance(10)
  await guard.delete([KEY])
  await old.land()
  expect(await guard.readAnew(KEY)).toBeUndefined()
  clock.advance(-5)
  const newer = write()
  await newer.land()
  expect((await guard.readAnew(KEY))?.createdAt).toBe(newer.createdAt)
})

interface Write {
  readonly createdAt: number
  /** Lets the store do it. */
  land(): Promise<void>
}

function slow(): { guard: StoreGuard; clock: FakeClock; write: () => Write } {
  const clock = new FakeClock()
  const inner = new MemoryStore()
  const waiting: PromiseWithResolvers<void>[] = []
  const store: Store = {
    name: 'slow',
    limits: inner.limits,
    read: async (key) => inner.read(key),
    write: async (head, body) => {
      const turn = Promise.withResolvers<void>()
      waiting.push(turn)
      await turn.promise
      await inner.write(head, body)
    },
    update: async (...change) => inner.update(...change),
    delete: async (keys) => inner.delete(keys),
    close: () => inner.close(),
  }
  const guard = new StoreGuard(store, new Events(), clock, { readTimeout: 60_000, writeTimeout: 60_000 })
  const write = (): Write => {
    const createdAt = clock.now()
    const done = guard.write(headOf(createdAt), new Uint8Array())
    const turn = waiting.at(-1)
    return {
      createdAt,
      async land() {
        turn?.resolve()
        await done
        await settled()
      },
    }
  }
  return { guard, clock, write }
}

function headOf(createdAt: number): EntryHead {
  const meta = { kind: 'value', key: KEY, valueSize: 0, failed: false, askedAt: createdAt, took: 0, tags: [] } as const
  return { key: KEY, meta, createdAt, expiresAt: NEVER, keepUntil: NEVER }
}
