/** The part of the kit for stores that read many keys at once (BatchReadingStore in engine/ports.ts). */
import { isBatchReading, type BatchReadingStore, type ReadOutcome, type StoredEntry } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { bodyOf, bytesOf, equal, KEYS, mustRead, ok, same, sideBySide, streamed, type It } from './checks.ts'
import { sampleHead, sampleMeta } from './samples.ts'

/** More than one command takes, whatever the server. */
const MANY = 250
const LONG = 3_000_000

function mustFind(outcome: ReadOutcome): StoredEntry {
  if (outcome instanceof StoreError) throw outcome
  if (outcome === undefined) throw new Error('an entry was not found')
  return outcome
}

export function batches(it: It): void {
  const batched = (title: string, body: (store: BatchReadingStore) => Promise<void>): void => {
    it(title, async (store) => {
      if (isBatchReading(store)) await body(store)
    })
  }

  batched('readMany answers each key in its place, missing and repeated ones, too', async (store) => {
    same(await store.readMany([]), [], 'no keys')
    same(await store.readMany(['missing']), [undefined], 'a missing key')
    const keys = Array.from({ length: MANY }, (_, n) => `key ${n}`)
    await sideBySide(keys, (key, n) => (n % 3 > 0 ? store.write(sampleHead(key), bytesOf(n, n + 1)) : undefined))
    const asked = [...keys.toReversed(), 'key 1', 'key 0']
    const outcomes = await store.readMany(asked)
    ok(outcomes.length === asked.length, 'there is not one answer for each key')
    for (const [index, key] of asked.entries()) {
      const n = Number(key.slice(4))
      if (n % 3 === 0) ok(outcomes[index] === undefined, `${key} was never written`)
      else ok(equal(await bodyOf(mustFind(outcomes[index])), bytesOf(n, n + 1)), `the body of ${key} is another one`)
    }
  })

  batched('readMany gives what read gives, whatever the key, the size and the age', async (store) => {
    const keys = [...KEYS, 'long', 'expired']
    for (const [n, key] of KEYS.entries()) await store.write(sampleHead(key), bytesOf(n * 10_000, n + 1))
    await store.write(sampleHead('long'), streamed(bytesOf(LONG), 100_000))
    await store.write(sampleHead('expired', { expiresAt: 1 }), bytesOf(5))
    const outcomes = await store.readMany(keys)
    for (const [index, key] of keys.entries()) {
      const [found, single] = [mustFind(outcomes[index]), await mustRead(store, key)]
      same(
        [found.key, found.meta, found.createdAt, found.expiresAt, found.keepUntil, found.body.size],
        [key, sampleMeta(key), 1000, single.expiresAt, single.keepUntil, single.body.size],
        key.slice(0, 20),
      )
      ok(equal(await bodyOf(found), await bodyOf(single)), 'the body differs')
    }
    const long = mustFind(outcomes[KEYS.length])
    ok(equal(await bodyOf(long, 1_000_000, 1_000_010), bytesOf(LONG).subarray(1_000_000, 1_000_010)), 'a range differs')
  })

  batched('readMany sees what was changed before, and its versions are those of update', async (store) => {
    for (const key of ['a', 'b', 'c', 'd']) await store.write(sampleHead(key), bytesOf(10))
    const before = mustFind((await store.readMany(['a', 'b']))[1])
    ok(
      await store.update(
        'b',
        { meta: sampleMeta('b', { status: 203 }), expiresAt: 9, keepUntil: 99_999_999_999_999 },
        before.version,
      ),
      'update refused the version of readMany',
    )
    await store.write(sampleHead('c', { createdAt: 7 }), bytesOf(20, 2))
    await store.delete(['d'])
    const [a, b, c, d] = await store.readMany(['a', 'b', 'c', 'd'])
    same(
      [mustFind(a).createdAt, mustFind(b).expiresAt, mustFind(c).createdAt, mustFind(c).body.size, d],
      [1000, 9, 7, 20, undefined],
      'what is there',
    )
  })

  batched('readMany after close is ERR_STORE_CLOSED', async (store) => {
    await store.close()
    const error: unknown = await Promise.resolve()
      .then(() => store.readMany(['a', 'b']))
      .then(
        () => null,
        (thrown: unknown) => thrown,
      )
    ok(error instanceof StoreError && error.code === 'ERR_STORE_CLOSED', 'readMany did not throw ERR_STORE_CLOSED')
  })
}
