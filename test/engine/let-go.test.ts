/** RELIABILITY 14: what nobody has any more is let go, and only that. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createCachedFetch } from '../../src/index.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** An origin whose body is `chunks` chunks of 100 bytes, one a turn; endless: null. */
function slow(control: string, chunks: number | null): typeof globalThis.fetch {
  return async () => {
    let sent = 0
    const body = new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          await turn()
          if (sent === chunks) return controller.close()
          controller.enqueue(new Uint8Array(100))
          sent += 1
        },
      },
      { highWaterMark: 0 },
    )
    return new Response(body, { headers: { 'cache-control': control } })
  }
}

test.each(['max-age=60', 'no-store'])('a clone that is dropped takes nothing from the other: %s', async (control) => {
  const fetch = createCachedFetch({ fetch: slow(control, 40), backgroundFill: 0 })
  const response = await fetch('http://origin.test/')
  // A function of its own, so that nothing here holds on to it.
  const drop = (): void => void response.clone()
  drop()
  const reader = response.body?.getReader()
  let read = 0
  for (;;) {
    const next = await reader?.read()
    if (next?.value === undefined) break
    read += next.value.length
    collect()
    await turn()
  }
  expect(read).toBe(4000)
})

test.each(['max-age=60', 'no-store'])('a body that was cancelled midway is not held on to: %s', async (control) => {
  const fetch = createCachedFetch({ fetch: slow(control, null), backgroundFill: 0, readAhead: 1000 })
  const streams: WeakRef<object>[] = []
  for (let n = 0; n < 20; n++) {
    const { body } = await fetch(`http://origin.test/${n}`)
    if (body === null) throw new Error('no body')
    streams.push(new WeakRef(body))
    await body.cancel(new Error('enough'))
  }
  const left = (): number => streams.filter((stream) => stream.deref() !== undefined).length
  for (let round = 0; left() > 1 && round < 50; round++) {
    await turn()
    collect()
  }
  // The last may still be in a register.
  expect(left()).toBeLessThan(2)
})
