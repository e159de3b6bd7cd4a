/** How much memory a long body takes on its way through a store: what is held, not what waits for the collector. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { EntryHead, Store } from '../src/engine/ports.ts'

/** Bytes after which garbage is collected. */
const EVERY = 16 * 1024 * 1024

/** Writes a body and reads it: how many bytes came back, and by how many this process grew at most meanwhile. */
export async function passThrough(
  store: Store,
  head: EntryHead,
  body: ReadableStream<Uint8Array>,
): Promise<{ size: number; growth: number }> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().rss
  let [peak, passed, size] = [before, 0, 0]
  const measure = ({ length }: Uint8Array): void => {
    peak = Math.max(peak, process.memoryUsage().rss)
    passed += length
    if (passed < EVERY) return
    passed = 0
    collect()
  }
  const measured = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      measure(chunk)
      controller.enqueue(chunk)
    },
  })
  await store.write(head, body.pipeThrough(measured))
  const stored = (await store.read(head.key))?.body
  for await (const part of stored?.open(0, stored.size) ?? []) {
    size += part.length
    measure(part)
  }
  return { size, growth: peak - before }
}
