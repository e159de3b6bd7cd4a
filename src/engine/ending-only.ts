/** Bodies whose end is not theirs to tell: whether they may be stored is asked where they end (RELIABILITY 69). */
import { BodyInterrupted } from './live-body.ts'

/** A stream that ends only if `may` says so; else it fails, and what was written of it never becomes an entry. */
export function endingOnly(body: ReadableStream<Uint8Array>, may: () => Promise<boolean>): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (!done) return controller.enqueue(value)
        if (await may()) controller.close()
        else controller.error(new BodyInterrupted('the lease was lost'))
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
