/**
 * A reverse proxy without a cache, in four steps of every framework's own: what was asked, to the suite's server and back, what it said.
 *
 * Rule 1: status, phrase, every header line and the body go back as they came, streamed. Only what node:http has put in for its own
 *   connection stays behind (`connectionOnly`).
 * Rule 2: where the suite's server cuts the connection, the handler fails: what becomes of that is the edge's affair.
 */
import { Agent, request } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

export interface Asked {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

export interface Said {
  readonly status: number
  readonly phrase: string
  /** Every line, in order. */
  readonly lines: readonly (readonly [name: string, value: string])[]
  readonly body: Readable
}

/** Every request on a connection of its own: the suite's server leaves some in a state that nothing can follow. */
const agent = new Agent({ keepAlive: false })

/** Rejects where no answer comes. */
export function forward(origin: string, { method, path, headers, body }: Asked): Promise<Said> {
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...fields } = headers
  return new Promise((resolve, reject) => {
    const sent = request(origin + path, { method, headers: fields, agent }, (answer) => resolve(saidBy(answer)))
    // After the answer it is what follows a Content-Length that is too short: the suite has such.
    sent.on('error', reject)
    body.pipe(sent)
  })
}

function saidBy(answer: IncomingMessage): Said {
  const { statusCode: status = 0, statusMessage: phrase = '', rawHeaders: raw } = answer
  const lines: (readonly [string, string])[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = '', value = ''] = raw.slice(at, at + 2)
    if (!connectionOnly(name, value)) lines.push([name, value])
  }
  return { status, phrase, lines, body: answer }
}

/** What node:http has added to the answer for the connection from there to here; what a test has put into these fields is passed on. */
function connectionOnly(name: string, value: string): boolean {
  const line = `${name}: ${value}`.toLowerCase()
  return /^(connection: (close|keep-alive)|keep-alive: timeout=\d+|transfer-encoding: chunked)$/.test(line)
}

/** Lines by name, as setHeader and its like take them. */
export function byName(lines: Said['lines']): Readonly<Record<string, string | string[]>> {
  const fields: Record<string, string | string[]> = {}
  for (const [name, value] of lines) {
    const known = fields[name]
    fields[name] = known === undefined ? value : [known, value].flat()
  }
  return fields
}
