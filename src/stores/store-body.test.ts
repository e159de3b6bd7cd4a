import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { pieces, storeBody, type BodySink } from './store-body.ts'

interface Taken {
  readonly sink: BodySink
  readonly got: { how: string; bytes: number[] }[]
}

function taker(limits: BodySink['limits'], failure?: Error): Taken {
  const got: { how: string; bytes: number[] }[] = []
  const sink: BodySink = {
    key: 'a',
    limits,
    whole: (bytes) => void got.push({ how: 'whole', bytes: [...bytes] }),
    async long(reader, ahead) {
      if (failure !== undefined) throw failure
      for await (const piece of pieces(reader, ahead, 3)) got.push({ how: 'piece', bytes: [...piece] })
    },
  }
  return { sink, got }
}

const LIMITS = { inlineSize: 4, maxEntrySize: 10 }
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, n) => n)

it('up to inlineSize whole, from there on in pieces; the same for bytes and streams', async () => {
  for (const body of [(n: number) => bytes(n), (n: number) => new Blob([Buffer.from(bytes(n))]).stream()]) {
    const { sink, got } = taker(LIMITS)
    await storeBody(body(0), sink)
    await storeBody(body(4), sink)
    await storeBody(body(5), sink)
    expect(got).toEqual([
      { how: 'whole', bytes: [] },
      { how: 'whole', bytes: [0, 1, 2, 3] },
      { how: 'piece', bytes: [0, 1, 2] },
      { how: 'piece', bytes: [3, 4] },
    ])
  }
})

it('D67: what is over maxEntrySize is refused as soon as it is seen, also below inlineSize', async () => {
  const { sink, got } = taker({ inlineSize: 100, maxEntrySize: 10 })
  const full = { code: 'ERR_STORE_FULL', message: expect.stringContaining('10 bytes') as string }
  await expect(storeBody(bytes(11), sink)).rejects.toMatchObject(full)
  await expect(storeBody(new Blob([Buffer.from(bytes(11))]).stream(), sink)).rejects.toMatchObject(full)
  expect(got).toEqual([])
})

it('a store that fails tells the stream why, and waits neither for its end nor for its answer', async () => {
  const failure = new RangeError('disk')
  const { sink } = taker(LIMITS, failure)
  const { promise: told, resolve } = Promise.withResolvers<unknown>()
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes(3)),
    cancel(reason) {
      resolve(reason)
      return new Promise<void>(() => undefined)
    },
  })
  await expect(storeBody(stream, sink)).rejects.toBe(failure)
  expect(await told).toBe(failure)
})

it('a stream that fails is the reason, and a giver may use its buffer again', async () => {
  const broken = new TypeError('cut')
  const buffer = bytes(2)
  let n = 0
  const stream = (end: 'fail' | 'close'): ReadableStream<Uint8Array> =>
    new ReadableStream(
      {
        pull(controller) {
          if (n++ < 2) controller.enqueue(buffer.fill(n))
          else if (end === 'fail') controller.error(broken)
          else controller.close()
        },
      },
      { highWaterMark: 0 },
    )
  const { sink, got } = taker(LIMITS)
  await expect(storeBody(stream('fail'), sink)).rejects.toBe(broken)
  n = 0
  await storeBody(stream('close'), sink)
  expect(got).toEqual([{ how: 'whole', bytes: [1, 1, 2, 2] }])
})

it('bytes of another realm are bytes; other views are not', async () => {
  const { sink, got } = taker(LIMITS)
  const streamOf = (chunk: unknown): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(chunk as Uint8Array)
        controller.close()
      },
    })
  await storeBody(streamOf(runInNewContext('new Uint8Array([1, 2])')), sink)
  expect(got).toEqual([{ how: 'whole', bytes: [1, 2] }])
  for (const chunk of [new Uint16Array(1), new DataView(new ArrayBuffer(1)), { [Symbol.toStringTag]: 'Uint8Array' }])
    await expect(storeBody(streamOf(chunk), sink)).rejects.toThrow(TypeError)
})
