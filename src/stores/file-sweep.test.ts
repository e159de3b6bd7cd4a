/** Every single access to the disk fails once (RELIABILITY 44, 50): nothing is torn, nothing is held, and the next one works. */
import * as nodeFs from 'node:fs'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import { sampleHead, sampleMeta } from '../testing/index.ts'
import { FileStore, type FileSystem } from './file.ts'

const root = mkdtempSync(join(tmpdir(), 'keepfresh-sweep-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

/** node:fs, which does not wait for the disk: nobody cuts the power. */
const quick: FileSystem = { ...nodeFs, fsync: ((_file: number, done: () => void) => setImmediate(done)) as never }

/** The same, whose call number `nth` fails; `close` fails when it has closed. */
function failingAt(nth: number, code: string): { fs: FileSystem; failed: () => boolean } {
  let calls = 0
  const fs = new Proxy(quick, {
    get(target, name, receiver) {
      const original: unknown = Reflect.get(target, name, receiver)
      if (typeof original !== 'function') return original
      return (...args: unknown[]) => {
        if (calls++ !== nth) return Reflect.apply(original, target, args)
        const error = Object.assign(new Error(`${code}: made to fail, ${String(name)}`), { code })
        const done = args.at(-1)
        if (typeof done !== 'function') throw error
        if (name === 'close') return Reflect.apply(original, target, [...args.slice(0, -1), () => done(error)])
        return setImmediate(() => done(error))
      }
    },
  })
  return { fs, failed: () => calls > nth }
}

const KEYS = ['short', 'long', 'changed', 'deleted', 'new']

function open(dir: string, fs: FileSystem = quick): FileStore {
  return new FileStore({ dir, fs, inlineSize: 1000, chunkSize: 4096, durability: 'full' })
}

async function begin(dir: string): Promise<void> {
  const store = open(dir)
  for (const key of KEYS.slice(0, -1)) await store.write(sampleHead(key), fill(key === 'long' ? 9000 : 100, 1))
  await store.close()
}

/** Everything that a cache does with a store. */
async function useAll(store: FileStore): Promise<unknown[]> {
  const version = async (): Promise<string> => String((await store.read('changed'))?.version)
  const uses: readonly (() => Promise<unknown>)[] = [
    async () => store.read('short'),
    () => store.write(sampleHead('short'), fill(100, 2)),
    () => store.write(sampleHead('long'), new Blob([new Uint8Array(fill(9000, 2))]).stream()),
    async () =>
      store.update(
        'changed',
        { meta: sampleMeta('changed', { status: 201 }), expiresAt: 1, keepUntil: 2 },
        await version(),
      ),
    () => store.delete(['deleted']),
    () => store.write(sampleHead('new'), fill(100, 2)),
    () => store.lock('l', 'me', 60_000),
    () => store.unlock('l', 'me'),
    () => Array.fromAsync(store.keys()),
  ]
  const failures: unknown[] = []
  for (const use of uses) await use().catch((error: unknown) => failures.push(error))
  await store.close()
  return failures
}

async function valuesOf(store: FileStore, key: string): Promise<number[]> {
  const entry = await store.read(key)
  if (entry === undefined) return []
  const chunks = await Array.fromAsync(entry.body.open(0, entry.body.size))
  expect(entry.body.size).toBe(key === 'long' ? 9000 : 100)
  return [...new Set(chunks.flatMap((chunk) => [...chunk]))]
}

for (const code of ['EIO', 'ENOSPC']) {
  it(`44: each access to the disk failing once, with ${code}`, async () => {
    for (let nth = 0; ; nth++) {
      const dir = join(root, `${code} ${nth}`)
      await begin(dir)
      const { fs, failed } = failingAt(nth, code)
      const failures = await useAll(open(dir, fs))
      if (!failed()) return expect(nth).toBeGreaterThan(100)
      for (const failure of failures) expect(failure).toBeInstanceOf(StoreError)
      const left = readdirSync(dir, { recursive: true }).map(String)
      expect([nth, left.filter((name) => /\.(busy|dead)$/.test(name))]).toEqual([nth, []])
      const store = open(dir)
      // One version or the other of each, or none, but never a mix.
      for (const key of KEYS) expect((await valuesOf(store, key)).length).toBeLessThanOrEqual(1)
      expect((await store.verify()).damaged).toBe(0)
      expect(await useAll(store)).toEqual([])
      rmSync(dir, { recursive: true })
    }
  })
}
