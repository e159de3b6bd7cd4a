/**
 * One of several processes that use a directory at once: `node file-process.ts DIRECTORY ROLE NUMBER`. It says READY, does its part,
 * and says DONE with what came of it; anything wrong ends it with an error.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { StoreError } from '../../src/errors.ts'
import type { StoredEntry } from '../../src/engine/ports.ts'
import { FileStore } from '../../src/stores/file.ts'
import { sampleHead, sampleMeta } from '../../src/testing/samples.ts'

const [dir = '', role = '', number = '0'] = process.argv.slice(2)
const me = Number(number)
const store = new FileStore({ dir, inlineSize: 1000, chunkSize: 4096, busyTimeout: 60_000, strict: true })

const short = (value: number): Uint8Array => new Uint8Array(500).fill(value)
function long(value: number): ReadableStream<Uint8Array> {
  let left = 20
  return new ReadableStream({
    pull: (controller) => (left-- > 0 ? controller.enqueue(new Uint8Array(3000).fill(value)) : controller.close()),
  })
}

/** The entry's body must be of one write; what was replaced while it was read may fail, but not mix. */
async function check(entry: StoredEntry | undefined, size: number): Promise<void> {
  if (entry === undefined) return
  const values = new Set<number>()
  let length = 0
  try {
    for await (const part of entry.body.open(0, entry.body.size)) {
      for (const value of part) values.add(value)
      length += part.length
    }
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_FAILED') return
    throw error
  }
  if (values.size !== 1 || length !== size) throw new Error(`a wrong body: ${length} bytes of ${[...values].join()}`)
}

/** Writes for ever, to be killed at any moment. */
async function write(): Promise<never> {
  for (let n = 0; ; n++) {
    await store.write(sampleHead('short'), short(n % 256))
    await store.write(sampleHead('long'), long(n % 256))
    const found = await store.read('long')
    const meta = sampleMeta('long', { status: 203 })
    if (found !== undefined) await store.update('long', { meta, expiresAt: n, keepUntil: n }, found.version)
    await store.write(sampleHead(`own ${n % 5}`), n % 2 === 0 ? short(me) : long(me))
    await store.delete([`own ${(n + 2) % 5}`])
    if (n === 0) process.stdout.write('GOING\n')
  }
}

/** Everything at once with the others; C67. */
async function work(): Promise<string> {
  for (let n = 0; n < 200; n++) {
    if (n % 3 === 0) await store.write(sampleHead('long'), long(n % 256))
    else await store.write(sampleHead('short'), short(n % 256))
    if (n % 7 === 0) await store.write(sampleHead(`own ${me} ${n}`), short(me))
    await check(await store.read('short'), 500)
    await check(await store.read('long'), 60_000)
    const found = await store.read('short')
    const meta = sampleMeta('short', { status: 203 })
    if (found !== undefined) await store.update('short', { meta, expiresAt: n, keepUntil: n }, found.version)
    if (n % 50 === 0) await store.delete(['long', `own ${me} ${n - 7}`])
    if (n % 100 === 0) for await (const _ of store.entries({ order: 'created' }));
  }
  return 'all of it'
}

/** Adds one by update, `me` times; no one else's may be lost. */
async function count(): Promise<string> {
  let refused = 0
  for (let done = 0; done < me;) {
    const found = await store.read('counter')
    if (found === undefined) throw new Error('the counter is gone')
    const change = { meta: found.meta, expiresAt: found.expiresAt + 1, keepUntil: found.keepUntil }
    if (await store.update('counter', change, found.version)) done += 1
    else refused += 1
  }
  return String(refused)
}

/** Between lock and unlock no other process may be: a file that only one can make shows it. */
async function exclude(): Promise<string> {
  const owner = `owner ${me}`
  for (let done = 0; done < 20;) {
    if (!(await store.lock('l', owner, 60_000))) continue
    writeFileSync(`${dir}.inside`, owner, { flag: 'wx' })
    await store.write(sampleHead('a'), short(me))
    rmSync(`${dir}.inside`)
    if (!(await store.unlock('l', owner))) throw new Error('the lease was lost')
    done += 1
  }
  return 'alone'
}

/** Tries to take each lock it is told the name of. */
async function take(): Promise<string> {
  const won: string[] = []
  for await (const name of createInterface(process.stdin)) {
    if (name === 'end') break
    if (await store.lock(name, `owner ${me}`, 600_000)) won.push(name)
  }
  return won.join()
}

const roles: Readonly<Record<string, () => Promise<string>>> = { write, work, count, exclude, take }
process.stdout.write('READY\n')
const result = await roles[role]?.()
await store.close()
process.stdout.write(`DONE ${result}\n`, () => process.exit(0))
