/** Thousands of connections that are open before the first request is sent on any of them: a herd that comes at once, indeed. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** So many connect at a time: no more than a listen queue holds. */
const BATCH = 500

export async function openSockets(url: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(url)
  const sockets: Socket[] = []
  for (let i = 0; i < count; i += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - i) }, () =>
      connect(Number(port), hostname).setNoDelay(true),
    )
    await Promise.all(batch.map((socket) => once(socket, 'connect')))
    sockets.push(...batch)
  }
  return sockets
}

/** Asks for one path on every connection; the bodies' lengths. */
export function askAll(sockets: readonly Socket[], path: string): Promise<number[]> {
  const request = `GET ${path} HTTP/1.1\r\nHost: bench.example\r\n\r\n`
  return Promise.all(
    sockets.map((socket) => {
      const answered = answerOn(socket)
      socket.write(request)
      return answered
    }),
  )
}

/** The length of the body of the next response. */
function answerOn(socket: Socket): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = ''
    const end = (work: () => void): void => {
      socket.off('data', take).off('error', fail).off('close', gone)
      work()
    }
    const fail = (error: Error): void => end(() => reject(error))
    const gone = (): void => fail(new Error('a connection was closed without an answer'))
    const take = (chunk: Buffer): void => {
      received += chunk.toString('latin1')
      const length = lengthOf(received)
      if (typeof length === 'string') fail(new Error(length))
      else if (length !== null) end(() => resolve(length))
    }
    socket.on('data', take).on('error', fail).on('close', gone)
  })
}

/** Null while the response is not whole; a text that says what is wrong with it. */
function lengthOf(received: string): number | string | null {
  const head = received.indexOf('\r\n\r\n')
  if (head < 0) return null
  const status = received.slice(9, 12)
  if (status !== '200') return `an answer with status ${status}`
  const body = received.length - head - 4
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, head))?.[1]
  if (length !== undefined) return body >= Number(length) ? Number(length) : null
  return received.endsWith('\r\n0\r\n\r\n') ? body : null
}
