import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Store } from '../engine/ports.ts'
import { sampleHead } from '../testing/samples.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { MemoryStore } from './memory.ts'
import { SqliteStore } from './sqlite.ts'
import { compressed } from './wrap-compress.ts'
import { encrypted } from './wrap-encrypt.ts'
import { signed } from './wrap-sign.ts'

const keys = [randomBytes(32)]
const secrets = ['a secret of enough length']
const WRAPPERS: Readonly<Record<string, (store: Store) => Store>> = {
  'compressed, zstd': (store) => compressed(store),
  'compressed, brotli': (store) => compressed(store, { algorithm: 'brotli', threshold: 0 }),
  'compressed, gzip': (store) => compressed(store, { algorithm: 'gzip', level: 1 }),
  encrypted: (store) => encrypted(store, { keys }),
  'encrypted, keys hidden': (store) => encrypted(store, { keys, hideKeys: randomBytes(32) }),
  signed: (store) => signed(store, { secrets }),
  'compressed, encrypted and signed': (store) => compressed(encrypted(signed(store, { secrets }), { keys })),
}

for (const [name, wrap] of Object.entries(WRAPPERS)) {
  storeConformance({ name: `${name}, over memory`, make: () => wrap(new MemoryStore()), describe, test })
  storeConformance({ name: `${name}, over SQLite`, make: () => wrap(new SqliteStore(':memory:')), describe, test })
}

test.each(Object.entries({ ...WRAPPERS, 'in memory': (store: Store) => store }))(
  '%s: who gives anything but bytes is told that nobody reads on, and is not waited for',
  async (_, wrap) => {
    const { promise: told, resolve } = Promise.withResolvers<void>()
    let given = 0
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(given++ < 6 ? new Uint8Array(100_000) : ('text' as never)),
      cancel() {
        resolve()
        return new Promise<void>(() => undefined)
      },
    })
    await expect(Promise.resolve(wrap(new MemoryStore()).write(sampleHead('k'), body))).rejects.toThrow(TypeError)
    await told
  },
)
