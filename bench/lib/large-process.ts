/** One client and one or two reads of one large body, in a process of its own, whose peak memory is what is asked for. */
import type { Contender, StoreKind } from './types.ts'

export interface LargeOrder {
  /** URL of the contender's module: no other is loaded, so that its memory is its own. */
  readonly module: string
  readonly store: StoreKind
  readonly origin: string
  readonly url: string
  readonly dir: string
  readonly server: string
  /** How many times the body is read, one after the other. */
  readonly reads: number
  /** Nobody reads it after this process: what is kept in a server is removed. */
  readonly last: boolean
}

export interface LargeResult {
  readonly bytes: readonly number[]
  readonly ms: readonly number[]
  /** Peak resident set of the process in bytes. */
  readonly peak: number
}

const { module, store, origin, url, dir, server, reads, last } = JSON.parse(process.argv[2] ?? '') as LargeOrder
const { contender } = (await import(module)) as { contender: Contender }
const client = await contender.setup(origin, { store, dir, server })
if (client.drain === null) throw new Error('it cannot store what is read as a stream')
const bytes: number[] = []
const ms: number[] = []
for (let i = 0; i < reads; i++) {
  const started = performance.now()
  bytes.push(await client.drain(url))
  ms.push(performance.now() - started)
}
if (last) await client.clear?.()
// What is still being stored belongs to the read.
await client.close()
const result: LargeResult = { bytes, ms, peak: process.resourceUsage().maxRSS * 1024 }
await new Promise((resolve) => process.send?.(result, resolve))
process.exit(0)
