/** The guard over a store that gathers writes: how they went is told after they were taken. */
import { beforeEach, expect, it } from 'vitest'
import { MemoryStore } from '../stores/memory.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { sampleHead } from '../testing/samples.ts'
import { Events } from './events.ts'
import type { EntryHead, GatheringStore } from './ports.ts'
import { StoreGuard } from './store-guard.ts'

const BYTES = new Uint8Array([1])

/** Memory that gathers until it is flushed, and fails while it is down. */
class Gathering extends MemoryStore implements GatheringStore {
  readonly calls: string[] = []
  down = false
  readonly #taken: (() => void)[] = []

  override write(head: EntryHead, body: Uint8Array): void {
    this.calls.push('write')
    if (this.down) throw new Error('down')
    void super.write(head, body)
  }

  writeSoon(head: EntryHead, body: Uint8Array, failed: (error: unknown) => void): void {
    this.calls.push('soon')
    this.#taken.push(() => (this.down ? failed(new Error('down')) : void super.write(head, body)))
  }

  override delete(keys: readonly string[]): number {
    if (this.down) throw new Error('down')
    return super.delete(keys)
  }

  flush(): void {
    for (const write of this.#taken.splice(0)) write()
  }
}

let store: Gathering
let clock: FakeClock
let guard: StoreGuard
beforeEach(() => {
  store = new Gathering()
  clock = new FakeClock(2000)
  guard = new StoreGuard(store, new Events(), clock, { readTimeout: 5000, writeTimeout: 5000 })
})

function writeSoon(key: string): unknown {
  return guard.write(sampleHead(key), BYTES, { gathered: true })
}

it('B37: a store that fails to make them is left alone after five, probed, and gathers again once it works', () => {
  store.down = true
  for (let n = 0; n < 9; n++) {
    writeSoon(`k${n}`)
    store.flush()
  }
  expect(store.calls.splice(0)).toEqual(['soon', 'write', 'write', 'write', 'write'])
  clock.advance(1000)
  expect(writeSoon('probe')).toBe(false)
  clock.advance(1999)
  expect([writeSoon('early'), store.calls.splice(0)]).toEqual([false, ['write']])
  store.down = false
  clock.advance(1)
  expect([writeSoon('a'), writeSoon('b'), store.calls]).toEqual([true, true, ['write', 'soon']])
})

it('B35: what could not be deleted is not seen again where the write in its place fails later', () => {
  void store.write(sampleHead('k'), BYTES)
  store.down = true
  expect(guard.delete(['k'])).toBe(0)
  store.down = false
  writeSoon('other')
  store.down = true
  writeSoon('k')
  store.flush()
  expect(guard.readAnew('k')).toBeUndefined()
})
