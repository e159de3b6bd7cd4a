/**
 * A stream that fails once a signal aborts, as the body of a fetch does.
 *
 * Rule 1: a signal that outlives it holds on to nothing of it: who drops the stream has what is open on its account let go (stores/file-body.ts).
 */
import { closeBytes } from './bytes.ts'
import { whenDropped } from './dropped.ts'

type Reader = ReadableStreamDefaultReader<Uint8Array>

export function abortable(stream: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  let over = (): void => undefined
  return new ReadableStream({
    type: 'bytes',
    start(controller) {
      over = watch(signal, controller, reader)
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

/** A function of its own, so that the listener has nothing but what is weak. What it returns takes the listener away. */
function watch(signal: AbortSignal, controller: ReadableByteStreamController, reader: Reader): () => void {
  const [target, source] = [new WeakRef(controller), new WeakRef(reader)]
  const abort = (): void => {
    target.deref()?.error(signal.reason)
    // Nobody is left to tell that it could not be left.
    source
      .deref()
      ?.cancel(signal.reason)
      .catch(() => undefined)
  }
  const over = (): void => signal.removeEventListener('abort', abort)
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  const dropped = whenDropped(controller, over)
  return () => {
    dropped.end()
    over()
  }
}
