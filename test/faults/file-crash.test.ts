/** Many processes on one directory, and processes killed at any moment (RELIABILITY C47, C48, C56, D66, D67, D71; row 158, 212). */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import { FileStore } from '../../src/stores/file.ts'
import { sampleHead } from '../../src/testing/index.ts'
import { newFolder } from './file-disk.ts'

const SCRIPT = fileURLToPath(new URL('file-process.ts', import.meta.url))
const OPTIONS = { inlineSize: 1000, chunkSize: 4096, busyTimeout: 20_000 }
const root = newFolder('crash')
afterAll(() => rmSync(root, { recursive: true, force: true }))

function start(dir: string, role: string, number: number): ChildProcess {
  const args = ['--no-warnings', '--experimental-strip-types', SCRIPT, dir, role, String(number)]
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
}

/** When it has said so. */
async function said(child: ChildProcess, word: RegExp): Promise<string> {
  let output = ''
  for await (const data of child.stdout ?? []) {
    output += String(data)
    const found = word.exec(output)
    if (found !== null) return found[1] ?? found[0]
  }
  throw new Error(`it ended without a word of it: ${output}`)
}

/** What they all said in the end, in order. */
async function together(dir: string, role: string, numbers: readonly number[]): Promise<string[]> {
  return Promise.all(numbers.map(async (number) => said(start(dir, role, number), /DONE (.*)\n/)))
}

/** The body under a key, which must be of one write; null where it was replaced while it was read. */
async function wholeBody(store: FileStore, key: string): Promise<number | null> {
  try {
    const entry = await store.read(key)
    if (entry === undefined) return 0
    const parts = await Array.fromAsync(entry.body.open(0, entry.body.size))
    const body = Buffer.concat(parts)
    expect([key, new Set(body).size, body.length]).toEqual([key, 1, entry.body.size])
    return body.length
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_FAILED') return null
    throw error
  }
}

describe('killed', () => {
  it('C47, C48, C56: 50 times while writing: no bad body, no error, and an hour later no leftovers', async () => {
    const dir = join(root, 'killed')
    let state = 11
    const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below
    const cycle = async (n: number): Promise<void> => {
      const child = start(dir, 'write', n % 256)
      await said(child, /GOING/)
      await new Promise((resolve) => setTimeout(resolve, random(20)))
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      const store = new FileStore({ dir, ...OPTIONS })
      for (const key of await Array.fromAsync(store.keys())) await wholeBody(store, key)
      await store.close()
    }
    const lane = async (first: number): Promise<void> => {
      for (let n = first; n < 50; n += 2) await cycle(n)
    }
    await Promise.all([lane(0), lane(1)])

    const store = new FileStore({ dir, ...OPTIONS })
    expect([await wholeBody(store, 'short'), await wholeBody(store, 'long')]).toEqual([500, 60_000])
    // What the dead held is free.
    for (const key of await Array.fromAsync(store.keys()))
      await store.write(sampleHead(key), new Uint8Array(2000).fill(1))
    await store.close()
    const old = Date.now() / 1000 - 7200
    for (const item of readdirSync(dir, { recursive: true, withFileTypes: true })) {
      if (!item.isDirectory()) utimesSync(join(item.parentPath, item.name), old, old)
    }
    const next = new FileStore({ dir, ...OPTIONS })
    const { entries } = await next.size()
    await expect.poll(() => readdirSync(join(dir, 'locks')), { timeout: 10_000 }).toEqual([])
    await next.close()
    const files = readdirSync(join(dir, 'entries'), { recursive: true }).map(String)
    expect(files.filter((name) => name.includes('.'))).toHaveLength(2 * entries)
  }, 120_000)
})

describe('together', () => {
  it('D67, D66, row 158: six processes on one directory: no error, no wrong body', async () => {
    const dir = join(root, 'together')
    expect(await together(dir, 'work', [1, 2, 3, 4, 5, 6])).toEqual(Array.from({ length: 6 }, () => 'all of it'))
    const store = new FileStore({ dir, ...OPTIONS })
    expect(await store.verify()).toMatchObject({ damaged: 0 })
    expect((await Array.fromAsync(store.keys())).filter((key) => key.startsWith('own'))).toHaveLength(6 * 29)
    await store.close()
    expect(readdirSync(join(dir, 'locks'))).toEqual([])
    const files = readdirSync(join(dir, 'entries'), { recursive: true }).map(String)
    expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(files.filter((name) => name.endsWith('.body')).length).toBeLessThanOrEqual(1)
  }, 120_000)

  it('D71: updates by version are lost by no one', async () => {
    const dir = join(root, 'counted')
    const store = new FileStore({ dir, ...OPTIONS })
    await store.write(sampleHead('counter', { expiresAt: 0 }), new Uint8Array(10))
    const refused = await together(dir, 'count', [60, 60, 60, 60])
    expect((await store.read('counter'))?.expiresAt).toBe(240)
    expect(refused.some((number) => Number(number) > 0)).toBe(true)
    await store.close()
  }, 120_000)

  it('B11, row 212: a lease excludes all others', async () => {
    expect(await together(join(root, 'excluded'), 'exclude', [1, 2, 3, 4])).toEqual([
      'alone',
      'alone',
      'alone',
      'alone',
    ])
  }, 120_000)

  it('69: of many who find a lease ended, one takes it', async () => {
    const dir = join(root, 'taken')
    const names = Array.from({ length: 30 }, (_, n) => `lock ${n}`)
    const store = new FileStore({ dir, ...OPTIONS, strict: true })
    mkdirSync(join(dir, 'locks'), { recursive: true })
    for (const name of names) {
      const file = `${createHash('sha256').update(name).digest('hex')}.lease`
      writeFileSync(join(dir, 'locks', file), JSON.stringify({ owner: 'the dead', until: Date.now() - 1 }))
    }
    const children = [1, 2, 3, 4].map((n) => start(dir, 'take', n))
    const done = children.map(async (child) => said(child, /DONE (.*)\n/))
    for (const name of names) for (const child of children) child.stdin?.write(`${name}\n`)
    for (const child of children) child.stdin?.write('end\n')
    const won = (await Promise.all(done)).flatMap((list) => list.split(',').filter((name) => name !== ''))
    expect(won.toSorted()).toEqual(names.toSorted())
    for (const name of names) expect(await store.lock(name, 'another', 1000)).toBe(false)
    await store.close()
    const leases = readdirSync(join(dir, 'locks')).map((file) => readFileSync(join(dir, 'locks', file), 'utf8'))
    expect(leases.every((text) => text.includes('owner '))).toBe(true)
  }, 120_000)
})
