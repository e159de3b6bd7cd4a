import { MemoryStore, type ListableStore, isListable } from 'keepfresh'
import { messageOf } from '../lib/attempt.ts'
import { watched, type Watched } from '../lib/blocks.ts'
import { fillStore, inAnHour } from '../lib/fill.ts'
import { openStore } from '../lib/keepfresh-store.ts'
import { BACKENDS, serverOf, serverVersion } from '../lib/services.ts'
import { digits } from '../lib/stats.ts'
import type { Cell, Context, Scenario, Target } from '../lib/types.ts'

interface Kind {
  readonly title: string
  readonly open: () => Promise<unknown>
  /** ms that the event loop may be held at a time. */
  readonly limit: number
}

const LIMIT = 50
const SQLITE_LIMIT = 10

export const scenario: Scenario = {
  title: 'Purging, by store',
  about:
    'Every second entry (1 KB of text) has expired and is deleted by one deleteWhere. A block is the longest gap between two turns of the event loop meanwhile, the collection of rubbish included; where its processor time is much less, the machine was busy or a disk slow. Memcached and what else cannot list its entries drops them by itself.',
  async run(context) {
    const entries = context.entries?.at(-1) ?? (context.quick ? 2000 : 1e5)
    const rows: Cell[][] = []
    const targets: Target[] = []
    const notes: string[] = []
    for (const { title, open, limit } of kinds(context, notes)) {
      context.log(`  ${title}: ${entries} entries`)
      try {
        const { ms, block, cpu, filling } = await purge(open, entries)
        rows.push([
          title,
          digits(ms),
          digits(entries / 2 / (ms / 1000)),
          digits(block),
          digits(cpu),
          digits(filling / 1000),
        ])
        targets.push({ what: `${title}, longest block`, sense: 'at most', limit, got: block, unit: ' ms' })
      } catch (error) {
        rows.push([title, `fails: ${messageOf(error)}`, '-', '-', '-', '-'])
      }
    }
    const columns = ['store', 'ms', 'deleted a second', 'longest block, ms', 'its processor time, ms', 'filling, s']
    return { tables: [{ title: `Half of ${entries} entries`, columns, rows }], targets, notes }
  },
}

function kinds(context: Context, notes: string[]): Kind[] {
  const wanted = (store: string): boolean => context.stores?.some((kind) => kind === store) ?? true
  const large = { maxEntries: 10_000_000, maxBytes: 2 ** 32 }
  const all: Kind[] = []
  if (wanted('memory')) {
    all.push({ title: 'memory', limit: LIMIT, open: async () => new MemoryStore(large) })
    all.push({
      title: 'memory over SQLite (tiered)',
      limit: LIMIT,
      open: async () => {
        const far = await openStore({ store: 'sqlite', dir: context.tmp(), server: '' })
        return new (await import('keepfresh/tiered')).TieredStore({ far, near: large })
      },
    })
    all.push({
      title: 'Keyv, a Map',
      limit: LIMIT,
      open: async () => (await import('keepfresh/keyv')).fromKeyv(new (await import('keyv')).Keyv()),
    })
    all.push({
      title: 'unstorage, memory',
      limit: LIMIT,
      open: async () =>
        new (await import('keepfresh/unstorage')).UnstorageStore((await import('unstorage')).createStorage()),
    })
  }
  for (const { store, title } of BACKENDS.filter((backend) => backend.store !== 'memcached' && wanted(backend.store))) {
    const server = serverOf(store)
    if (server === null) {
      notes.push(`${title}: no server here, skipped.`)
      continue
    }
    const version = serverVersion(store)
    all.push({
      title: version === null ? title : `${title} (${version})`,
      limit: store === 'sqlite' ? SQLITE_LIMIT : LIMIT,
      open: () => openStore({ store, dir: context.tmp(), server }),
    })
  }
  return all
}

async function purge(open: Kind['open'], entries: number): Promise<Watched<number> & { filling: number }> {
  const store = await open()
  assertListable(store)
  try {
    const now = Date.now()
    const started = performance.now()
    await fillStore(store, entries, (i) => (i % 2 === 0 ? now - 1 - i : inAnHour(i)))
    const filling = performance.now() - started
    globalThis.gc?.()
    const found = await watched(() => store.deleteWhere({ expiredAt: now }))
    const half = Math.ceil(entries / 2)
    if (found.value !== half) throw new Error(`${found.value} were deleted, not ${half}`)
    const left = (await store.size()).entries
    if (left !== entries - half) throw new Error(`${left} are left, not ${entries - half}`)
    return { ...found, filling }
  } finally {
    await store.clear()
    await store.close()
  }
}

function assertListable(store: unknown): asserts store is ListableStore {
  if (!isListable(store as ListableStore)) throw new TypeError('it cannot list what it holds')
}
