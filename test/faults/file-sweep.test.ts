/**
 * B44, C48, C50, D66: every call to the file system fails once, one run for each, and in other runs all calls from there on.
 * Whatever fails: what was there before, or what was written, or nothing, or a StoreError; never another body, never both.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import type { StoredEntry } from '../../src/engine/ports.ts'
import { FileStore } from '../../src/stores/file.ts'
import { sampleHead, sampleMeta } from '../../src/testing/index.ts'
import { FaultyDisk, newFolder, type DiskFault } from './file-disk.ts'

const root = newFolder('sweep')
afterAll(() => rmSync(root, { recursive: true, force: true }))

const SHORT = 300
const LONG = 5000
const OPTIONS = { inlineSize: 1000, chunkSize: 2048, busyTimeout: 20 }
const KEYS = ['short', 'long', 'gone', 'shrinks', 'grows']
const template = join(root, 'template')

/** A body says of which write it is in every byte. */
const body = (size: number, value: number): Uint8Array => new Uint8Array(size).fill(value)
function streamed(size: number, value: number): ReadableStream<Uint8Array> {
  let left = size
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close()
      controller.enqueue(body(Math.min(left, 700), value))
      left -= 700
    },
  })
}

beforeAll(async () => {
  const store = new FileStore({ dir: template, ...OPTIONS })
  for (const key of KEYS) await store.write(sampleHead(key), body(/long|shrinks/.test(key) ? LONG : SHORT, 1))
  await store.close()
})

/** The value and size of a body that is whole; throws for a mix. */
async function seen(entry: StoredEntry | undefined): Promise<string> {
  if (entry === undefined) return 'missing'
  const parts: Uint8Array[] = []
  for await (const part of entry.body.open(0, entry.body.size)) parts.push(part)
  const whole = Buffer.concat(parts)
  const values = new Set(whole)
  if (values.size !== 1 || whole.length !== entry.body.size) throw new Error(`a mix under ${entry.key}`)
  return `${whole.length} of ${[...values].join()}, status ${entry.meta.kind === 'response' ? entry.meta.status : '?'}`
}

/** What may be seen under each key at the end: before, after, or in between. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  short: [
    `${SHORT} of 1, status 200`,
    `${SHORT} of 2, status 200`,
    `${SHORT} of 2, status 203`,
    `${SHORT} of 1, status 203`,
  ],
  long: [
    `${LONG} of 1, status 200`,
    `${LONG} of 2, status 200`,
    `${LONG} of 2, status 203`,
    `${LONG} of 1, status 203`,
  ],
  gone: [`${SHORT} of 1, status 200`, 'missing'],
  shrinks: [`${LONG} of 1, status 200`, `${SHORT} of 2, status 200`],
  grows: [`${SHORT} of 1, status 200`, `${LONG} of 2, status 200`],
  new: ['missing', `${LONG} of 2, status 200`],
}

/** Everything a store does; how many steps failed. Anything but a StoreError is thrown. */
async function useStore(store: FileStore): Promise<number> {
  const change = async (key: string): Promise<void> => {
    const found = await store.read(key)
    const meta = sampleMeta(key, { status: 203 })
    if (found !== undefined) await store.update(key, { meta, expiresAt: 5, keepUntil: 6 }, found.version)
  }
  const steps: readonly (() => unknown)[] = [
    () => store.write(sampleHead('short'), body(SHORT, 2)),
    () => store.write(sampleHead('long'), streamed(LONG, 2)),
    () => change('short'),
    () => change('long'),
    () => store.write(sampleHead('shrinks'), body(SHORT, 2)),
    () => store.write(sampleHead('grows'), streamed(LONG, 2)),
    () => store.write(sampleHead('new'), body(LONG, 2)),
    () => store.delete(['gone', 'missing']),
    ...Object.keys(ALLOWED).map((key) => async () => expect(ALLOWED[key]).toContain(await seen(await store.read(key)))),
    () => store.size(),
    () => Array.fromAsync(store.entries({ order: 'created' })),
    () => store.deleteWhere({ createdBefore: 0 }),
    async () => (await store.lock('l', 'o', 60_000)) && (await store.renew('l', 'o', 60_000)),
    () => store.unlock('l', 'o'),
    () => store.verify(),
  ]
  let failures = 0
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      failures += 1
    }
  }
  await store.close()
  return failures
}

/** After the fault: everything is one of what it may be, and an hour later nothing else is left. */
async function inspect(dir: string, where: string): Promise<void> {
  const store = new FileStore({ dir, ...OPTIONS })
  for (const [key, allowed] of Object.entries(ALLOWED)) {
    expect([where, key, allowed.includes(await seen(await store.read(key)))]).toEqual([where, key, true])
  }
  const old = Date.now() / 1000 - 7200
  for (const item of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!item.isDirectory()) utimesSync(join(item.parentPath, item.name), old, old)
  }
  const { damaged, entries } = await store.verify()
  expect([where, damaged]).toEqual([where, 0])
  const files = readdirSync(join(dir, 'entries'), { recursive: true }).map(String)
  const bodies = (await Array.fromAsync(store.entries())).filter(({ size }) => size > OPTIONS.inlineSize).length
  expect([where, files.filter((name) => name.includes('.')).length]).toEqual([where, entries + bodies])
  await store.close()
}

interface Sweep {
  readonly code: string
  readonly fault: DiskFault
  readonly options?: object
  /** Which calls: every one, every third, ... */
  readonly step?: number
}

/** One run with a fault in the n-th call; what failed: null where there are fewer calls. */
async function run({ code, fault, options }: Sweep, at: number): Promise<number | null> {
  const dir = mkdtempSync(join(root, 'run-'))
  cpSync(template, dir, { recursive: true })
  const disk = new FaultyDisk(at, code, fault)
  const failures = await useStore(new FileStore({ dir, ...OPTIONS, ...options, fs: disk.fs }))
  if (disk.failed === null) expect(failures).toBe(0)
  else await inspect(dir, `call ${at}, ${disk.failed}`)
  rmSync(dir, { recursive: true })
  return disk.failed === null ? null : failures
}

/** A run for each call, some side by side, until they end without having met their fault; in how many a step failed. */
async function sweep(plan: Sweep): Promise<{ runs: number; failing: number }> {
  const { step = 1 } = plan
  const results: (number | null)[] = []
  for (let at = 1; results.at(-1) !== null; at += 8 * step) {
    results.push(...(await Promise.all(Array.from({ length: 8 }, (_, n) => run(plan, at + n * step)))))
  }
  const met = results.filter((failures) => failures !== null)
  return { runs: met.length * step, failing: met.filter((failures) => failures > 0).length * step }
}

describe('B44: the n-th call to the file system fails, for every n', () => {
  const plans: readonly Sweep[] = [
    { code: 'EIO', fault: 'once' },
    { code: 'EIO', fault: 'once', options: { sync: true, durability: 'full', maxEntries: 100 }, step: 2 },
    { code: 'EIO', fault: 'dead', options: { busyTimeout: 1 } },
    { code: 'ENOSPC', fault: 'late', step: 2 },
    { code: 'EACCES', fault: 'once', step: 3 },
    { code: 'EMFILE', fault: 'once', step: 3 },
  ]
  it.for(plans)('$code, $fault, $options', async (plan) => {
    const { runs, failing } = await sweep(plan)
    expect(runs).toBeGreaterThan(100)
    expect(failing).toBeGreaterThan(runs / 10)
  })

  it('C50: a full disk is ERR_STORE_FULL, leaves no file, and is got over', async () => {
    const dir = join(root, 'full')
    cpSync(template, dir, { recursive: true })
    let full = true
    const disk = new FaultyDisk(Infinity, 'ENOSPC', 'once')
    const fs = new Proxy(disk.fs, {
      get: (target, name, receiver) =>
        name !== 'write' || !full
          ? Reflect.get(target, name, receiver)
          : (...args: unknown[]) => {
              // Some of it still fits.
              const done = args.at(-1) as (error: Error | null, written: number) => void
              const [, , , length, position] = args
              if (Number(position) === 0 && Number(length) > 100) return setImmediate(() => done(null, 100))
              return setImmediate(() => done(Object.assign(new Error('full'), { code: 'ENOSPC' }), 0))
            },
    })
    const store = new FileStore({ dir, ...OPTIONS, fs })
    const before = readdirSync(join(dir, 'entries'), { recursive: true }).length
    for (const write of [
      () => store.write(sampleHead('short'), body(SHORT, 2)),
      () => store.write(sampleHead('long'), streamed(LONG, 2)),
    ]) {
      const error: unknown = await write().catch((thrown: unknown) => thrown)
      expect(error instanceof StoreError && error.code).toBe('ERR_STORE_FULL')
    }
    expect(readdirSync(join(dir, 'entries'), { recursive: true })).toHaveLength(before)
    expect(await seen(await store.read('long'))).toBe(`${LONG} of 1, status 200`)
    full = false
    await store.write(sampleHead('long'), streamed(LONG, 2))
    expect(await seen(await store.read('long'))).toBe(`${LONG} of 2, status 200`)
    await store.close()
  })
})

const kind = (path: unknown): string =>
  /\.(kf|body|tmp)$/.exec(String(path))?.[1] ?? (/entries.[0-9a-f]{2}$/.test(String(path)) ? 'folder' : 'other')

describe('C49: what is flushed, and when', () => {
  it("durability 'full': files before they are renamed, folders after; 'fast': nothing", async () => {
    for (const durability of ['full', 'fast'] as const) {
      const log: string[] = []
      const names = new Map<number, string>()
      const disk = new FaultyDisk(Infinity, 'EIO', 'once')
      const fs = new Proxy(disk.fs, {
        get: (target, name, receiver) => {
          const original = Reflect.get(target, name, receiver) as (...args: unknown[]) => unknown
          if (name === 'open')
            return (...args: unknown[]) => {
              const done = args.at(-1) as (error: unknown, file: number) => void
              original(...args.slice(0, -1), (error: unknown, file: number) => {
                if (error === null) names.set(file, kind(args[0]))
                done(error, file)
              })
            }
          if (name === 'fsync')
            return (...args: unknown[]) => (log.push(`fsync ${names.get(Number(args[0]))}`), original(...args))
          if (name === 'rename') return (...args: unknown[]) => (log.push(`rename ${kind(args[0])}`), original(...args))
          return original
        },
      })
      const dir = join(root, durability)
      cpSync(template, dir, { recursive: true })
      const store = new FileStore({ dir, ...OPTIONS, durability, fs })
      await store.write(sampleHead('long'), streamed(LONG, 2))
      await store.delete(['gone'])
      await store.close()
      const flushed = ['fsync other', 'fsync body', 'fsync tmp', 'rename tmp', 'fsync folder', 'fsync folder']
      expect(log).toEqual(durability === 'full' ? flushed : ['rename tmp'])
    }
  })
})
