/** One line chooses the store: a file, a folder, memory over a file, or Redis where KEEPFRESH_REDIS_URL names one. */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCachedFetch, type Store } from 'keepfresh'
import { FileStore } from 'keepfresh/file'
import { RedisStore } from 'keepfresh/redis'
import { SqliteStore } from 'keepfresh/sqlite'
import { TieredStore } from 'keepfresh/tiered'
import { startOrigin } from 'keepfresh/testing'

await using origin = await startOrigin()
const folder = mkdtempSync(join(tmpdir(), 'keepfresh-example-'))
const redis = process.env['KEEPFRESH_REDIS_URL']
const stores: Store[] = [
  new SqliteStore(join(folder, 'http.db')),
  new FileStore(join(folder, 'http')),
  new TieredStore({ far: new SqliteStore(join(folder, 'far.db')) }),
  ...(redis === undefined ? [] : [new RedisStore({ url: redis, namespace: `example-${process.pid}` })]),
]
for (const store of stores) {
  origin.reset()
  const fetch = createCachedFetch({ store, autoClose: true, storeTimeout: 2 })
  await (await fetch(`${origin.url}/cache/60`)).text()
  const again = await fetch(`${origin.url}/cache/60`)
  await again.text()
  console.log(store.name, again.fromCache ? 'hit' : 'miss')
  assert.equal(origin.requests.length, 1)
  await fetch.close()
}
