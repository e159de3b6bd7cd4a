/** What was set on a node:http response before its handler's turn: what a stored answer, or another run of the handler, starts from. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'

export interface Before {
  readonly statusCode: number
  readonly statusMessage: string
  readonly fields: OutgoingHttpHeaders
}

export function stateOf(response: ServerResponse): Before {
  const { statusCode } = response
  return { statusCode, statusMessage: phraseOf(response), fields: response.getHeaders() }
}

/** Nothing was sent yet: a handler that failed leaves no trace. */
export function restore(response: ServerResponse, { statusCode, statusMessage, fields }: Before): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) response.setHeader(name, value)
  response.statusCode = statusCode
  setPhrase(response, statusMessage)
}

/** HTTP/2 has no reason phrases, and node:http2 warns of whoever looks. */
function hasPhrase({ req }: ServerResponse): boolean {
  return req.httpVersionMajor < 2
}

export function phraseOf(response: ServerResponse): string {
  return hasPhrase(response) ? (response.statusMessage ?? '') : ''
}

export function setPhrase(response: ServerResponse, phrase: string): void {
  if (hasPhrase(response)) response.statusMessage = phrase
}
