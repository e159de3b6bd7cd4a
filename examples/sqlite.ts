/** A cache on disk: what one session stored, the next one answers with. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CachedSession } from 'keepfresh'
import { startOrigin } from 'keepfresh/testing'

const folder = await mkdtemp(join(tmpdir(), 'keepfresh-example-'))
await using origin = await startOrigin()

for (const expected of [false, true]) {
  await using session = new CachedSession({ store: `sqlite:${join(folder, 'http.db')}` })
  const response = await session.get(`${origin.url}/json`)
  console.log('from cache:', response.fromCache)
  assert.equal(response.fromCache, expected)
  assert.ok(await response.json())
}
assert.equal(origin.requests.length, 1)
await rm(folder, { recursive: true })
