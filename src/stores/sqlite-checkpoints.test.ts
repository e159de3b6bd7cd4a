/** Checkpoints in a thread: the log is copied, closing leaves one whole file, and no process waits for the thread or dies with it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { EntryHead } from '../engine/ports.ts'
import { SqliteCheckpoints } from './sqlite-checkpoints.ts'
import { SqliteStore } from './sqlite.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keepfresh-checkpoints-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const file = (): string => join(dir, 'a.sqlite')
const head = (key: string): EntryHead => ({
  key,
  meta: { kind: 'mark', key, at: 1, mode: 'stale' },
  createdAt: 1,
  expiresAt: 1000,
  keepUntil: 8_640_000_000_000_000,
})

/** Enough for a checkpoint by the thread, and too little for one by SQLite itself: 300 KB in one transaction. */
async function enough(store: SqliteStore, from = 0): Promise<void> {
  await store.bulk((batch) => {
    for (let n = from; n < from + 300; n++) batch.write(head(`k${n}`), new Uint8Array(1000))
  })
}

function integrity(): unknown {
  const database = new DatabaseSync(file())
  try {
    return database.prepare('PRAGMA integrity_check').get()?.['integrity_check']
  } finally {
    database.close()
  }
}

it('long work that waits asks for nothing more when its store is closed', async () => {
  const database = new DatabaseSync(file())
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)')
  const copy = join(dir, 'copy.sqlite')
  for (const suffix of ['', '-wal']) copyFileSync(file() + suffix, copy + suffix)
  database.close()
  const checkpoints = new SqliteCheckpoints(new DatabaseSync(':memory:'), copy)
  checkpoints.grew(30 * 1024 * 1024)
  const waiting = checkpoints.caughtUp()
  checkpoints.close()
  await waiting
  // Who opens and closes it takes its log away.
  expect(existsSync(`${copy}-wal`)).toBe(true)
})

it('updates and deletions count, too', async () => {
  const store = new SqliteStore(file())
  await enough(store)
  await expect.poll(() => statSync(file()).size, { timeout: 20_000, interval: 5 }).toBeGreaterThan(300_000)
  const copied = async (change: (n: number) => unknown): Promise<void> => {
    const before = statSync(file()).mtimeMs
    for (let n = 0; n < 300; n++) change(n)
    // While a checkpoint runs none is asked for: the next write does.
    const next = async (): Promise<number> => {
      await store.write(head('next'), new Uint8Array(1))
      return statSync(file()).mtimeMs
    }
    await expect.poll(next, { timeout: 20_000, interval: 50 }).toBeGreaterThan(before)
  }
  await copied((n) => store.update(`k${n}`, head(`k${n}`), store.read(`k${n}`)?.version ?? ''))
  await copied((n) => store.delete([`k${n}`]))
  store.close()
})

it('the log is copied while nobody writes', async () => {
  const store = new SqliteStore(file())
  await enough(store)
  await expect.poll(() => statSync(file()).size, { timeout: 20_000, interval: 5 }).toBeGreaterThan(300_000)
  expect(store.size().entries).toBe(300)
  store.close()
})

it('who closes a store leaves one file, and it is whole, wherever the thread was', async () => {
  for (let round = 0; round < 20; round++) {
    const store = new SqliteStore(file())
    await enough(store, round * 300)
    await setTimeout(round / 4)
    store.close()
    expect([existsSync(`${file()}-wal`), integrity()]).toEqual([false, 'ok'])
  }
  const store = new SqliteStore(file())
  expect(store.size().entries).toBe(6000)
  store.vacuum()
  store.close()
})

it('much is deleted although the log gets long', async () => {
  const store = new SqliteStore(file())
  for (let from = 0; from < 12_000; from += 300) await enough(store, from)
  expect(await store.deleteWhere({ expiredAt: 2000 })).toBe(12_000)
  expect(store.size().entries).toBe(0)
  store.close()
  expect(integrity()).toBe('ok')
})

it('a store that is closed while it deletes says so', async () => {
  const store = new SqliteStore(file())
  for (let from = 0; from < 9000; from += 300) await enough(store, from)
  const deleting = store.deleteWhere({ expiredAt: 2000 }).then(
    () => null,
    (error: unknown) => error,
  )
  await setTimeout(5)
  store.close()
  expect([null, 'ERR_STORE_CLOSED']).toContain(((await deleting) as { code?: string } | null)?.code ?? null)
  expect(integrity()).toBe('ok')
})

/** Runs `code` in a process of its own, with `store`, `head` and `enough` at hand. */
function child(code: string, flags: readonly string[] = []): ReturnType<typeof spawn> {
  const script = `import { SqliteStore } from ${JSON.stringify(new URL('sqlite.ts', import.meta.url).href)}
    const head = ${head.toString()}
    ${enough.toString()}
    const store = new SqliteStore(${JSON.stringify(file())})
    ${code}`
  const own = ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script]
  return spawn(process.execPath, [...flags, ...own], { stdio: ['ignore', 'pipe', 'inherit'] })
}

it('161: the thread keeps no process alive, and a process without threads does without', async () => {
  const permissions = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*']
  for (const flags of [[], permissions]) {
    const [code] = await once(child('for (let n = 0; n < 30; n++) await enough(store, n * 300)', flags), 'exit')
    expect(code).toBe(0)
    expect(integrity()).toBe('ok')
  }
  const store = new SqliteStore(file())
  expect(store.size().entries).toBe(9000)
  store.close()
})

it('C47: killed while the thread works, five times: what is there is whole', async () => {
  for (let cycle = 0; cycle < 5; cycle++) {
    const writer = child(`for (let n = 0; ; n++) {
        await enough(store, n * 300)
        if (n === ${5 + cycle * 7}) process.stdout.write('go')
        await new Promise((resolve) => setTimeout(resolve))
      }`)
    if (writer.stdout !== null) await once(writer.stdout, 'data')
    writer.kill('SIGKILL')
    await once(writer, 'exit')
    expect(integrity()).toBe('ok')
    const store = new SqliteStore(file())
    expect(store.size().entries % 300).toBe(0)
    expect(store.read('k0')?.body.size).toBe(1000)
    store.close()
  }
})
