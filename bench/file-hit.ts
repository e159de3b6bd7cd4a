/** What a hit of the file store costs, against reading the same file: node bench/file-hit.ts */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileStore } from '../src/stores/file.ts'
import { sampleHead } from '../src/testing/samples.ts'

const ROUNDS = 9
const CALLS = 3000
const KEY = 'GET http://example.test/a/path?with=parameters'

/** Microseconds a call, the median of rounds that take turns, so that what else the machine does meets all alike. */
async function compare(
  contenders: Readonly<Record<string, () => unknown>>,
  width: number,
): Promise<Record<string, number>> {
  const times: Record<string, number[]> = {}
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, call] of Object.entries(contenders)) {
      const start = performance.now()
      for (let n = 0; n < CALLS; n += width) {
        if (width === 1) await call()
        else await Promise.all(Array.from({ length: width }, call))
      }
      if (round > 0) (times[name] ??= []).push(((performance.now() - start) * 1000) / CALLS)
    }
  }
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, all.toSorted((a, b) => a - b)[all.length >> 1] ?? NaN]),
  )
}

const dir = mkdtempSync(join(tmpdir(), 'keepfresh-bench-'))
const store = new FileStore(dir)
const sync = new FileStore({ dir, sync: true })
for (const size of [1000, 20_000, 64_000]) {
  await store.write(sampleHead(KEY), new Uint8Array(size).fill(7))
  const [path = ''] = await Array.fromAsync(store.paths())
  for (const width of [1, 32]) {
    const us = await compare(
      {
        'fs.promises.readFile': () => readFile(path),
        'FileStore.read': () => store.read(KEY),
        'fs.readFileSync': () => readFileSync(path),
        'FileStore.read, sync': () => sync.read(KEY),
      },
      width,
    )
    const ratio = (us['FileStore.read'] ?? NaN) / (us['fs.promises.readFile'] ?? NaN)
    console.log(`${size} bytes, ${width} at once: ${ratio.toFixed(2)} x fs.promises.readFile`)
    for (const [name, time] of Object.entries(us)) console.log(`  ${name.padEnd(22)} ${time.toFixed(1)} us`)
  }
}
await Promise.all([store.close(), sync.close()])
rmSync(dir, { recursive: true })
