import { randomBytes } from 'node:crypto'
import { describe, test } from 'vitest'
import type { Store } from '../engine/ports.ts'
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
