/**
 * The body of a Request that a fetch is given. It shows as a stream whatever it was made of, yet what was at hand is sent with its length, and
 * again after a redirect, as fetch does.
 *
 * Rule 1: the Request is used from the call on, whatever comes of it, and one that was used before is refused.
 * Rule 2: what is a stream stays one. Where the runtime does not tell, it is taken for one.
 */
import { concat } from '../engine/bytes.ts'
import type { BodySource, FetchInput, Incoming } from './incoming.ts'

/** Bytes of a body that are kept for another hop; a longer one goes out as a stream. */
const KEPT = 1024 * 1024

/**
 * The request with its body taken over from the Request it came with, where it has one of its own.
 * @throws TypeError for a Request whose body was used before, as fetch does
 */
export function withOwnBody(incoming: Incoming, input: FetchInput): Incoming | Promise<Incoming> {
  if (!(input instanceof Request) || input.body === null || input.body !== incoming.body) return incoming
  const atHand = probed(input)
  if (atHand === null) return { ...incoming, body: new Request(input, { signal: null }).body }
  return kept(atHand).then((body) => ({ ...incoming, body }))
}

/** Takes the body over if it was at hand when its Request was made; null: it was a stream, or nobody can say. */
function probed(request: Request): ReadableStream<Uint8Array> | null {
  if (!(tells ??= tellsStreams())) return null
  try {
    return new Request(request, PROBE).body
  } catch {
    // A stream, or used before: who asks tells.
    return null
  }
}

/** The Fetch standard's Request constructor refuses mode no-cors to bodies without a source, and asks before it takes them over. */
const PROBE: RequestInit = { method: 'POST', mode: 'no-cors', cache: 'default', signal: null }

let tells: boolean | null = null

/** Whether this runtime makes the difference: it takes one, and refuses the other. */
function tellsStreams(): boolean {
  const [stream, text] = [new ReadableStream(), 'text'].map((body) => {
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' }
    try {
      return new Request(new Request('http://localhost/', init), PROBE).body
    } catch {
      return null
    }
  })
  return stream === null && text !== null
}

async function kept(stream: ReadableStream<Uint8Array>): Promise<BodySource> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  while (size <= KEPT) {
    const { done, value } = await reader.read()
    if (done) return concat(chunks, size) as Uint8Array<ArrayBuffer>
    chunks.push(value)
    size += value.length
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const chunk = chunks.shift() ?? (await reader.read()).value
      if (chunk === undefined) controller.close()
      else controller.enqueue(chunk)
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

/** As fetch does with the body of a request that was aborted before it was sent. */
export function leaveBody(body: BodySource, reason: unknown): void {
  // Who holds it looks after it; and whether it could be left, nobody is left to tell.
  if (body instanceof ReadableStream && !body.locked) body.cancel(reason).catch(() => undefined)
}
