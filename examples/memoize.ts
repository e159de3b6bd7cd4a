/** Async functions: memoize one, replay one that answers in pieces, and a cache with get-or-compute of many. */
import assert from 'node:assert/strict'
import { AsyncCache, memoize, memoizeIterable } from 'keepfresh/memo'

let queries = 0
const user = memoize(
  async (id: number) => {
    queries += 1
    return { id, name: `user ${id}` }
  },
  { ttl: '5m', maxSize: 1000, eviction: 'lru' },
)
const herd = await Promise.all(Array.from({ length: 1000 }, () => user(7)))
assert.equal(queries, 1)
assert.equal(herd[999]?.name, 'user 7')

let runs = 0
const words = memoizeIterable(async function* (sentence: string) {
  runs += 1
  yield* sentence.split(' ')
})
for await (const word of words('as it comes')) console.log(word)
assert.deepEqual(await Array.fromAsync(words('as it comes')), ['as', 'it', 'comes'])
assert.equal(runs, 1)

const prices = new AsyncCache<string, number>({ ttl: '1m' })
await prices.set('apple', 1)
const all = await prices.getOrSetMany(['apple', 'pear', 'plum'], async (missing) => {
  console.log('asked for', missing)
  return missing.map((_name, index) => index + 2)
})
console.log(all)
await prices.close()
