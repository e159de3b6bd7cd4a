/** A stream that fails once a signal aborts, as the body of a fetch does. */
import { closeBytes } from './bytes.ts'

export function abortable(stream: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  let abort = (): void => undefined
  const over = (): void => signal.removeEventListener('abort', abort)
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      abort = () => {
        controller.error(signal.reason)
        // Nobody is left to tell that it could not be left.
        reader.cancel(signal.reason).catch(() => undefined)
      }
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (signal.aborted) return
        if (!done) return controller.enqueue(value as Uint8Array<ArrayBuffer>)
        over()
        closeBytes(controller)
      } catch (error) {
        over()
        throw error
      }
    },
    cancel(reason) {
      over()
      return reader.cancel(reason)
    },
  })
}
