/** Selecting headers that are credentials are stored and compared as digests, never in clear (feature K3). */
import type { HeaderLine, RequestHead } from '../http/message.ts'
import { sha256 } from './digest.ts'
import { isPromise } from './maybe.ts'
import type { MaybePromise } from './ports.ts'
import { CREDENTIAL_HEADERS } from './redact.ts'

/** The request as Vary may see it: the credentials among `names` replaced by digests. */
export function selectingView(request: RequestHead, names: readonly string[]): MaybePromise<RequestHead> {
  if (!names.some((name) => CREDENTIAL_HEADERS.has(name))) return request
  const headers = request.headers.map((line) => (CREDENTIAL_HEADERS.has(line[0]) ? digested(line) : line))
  if (headers.some(isPromise)) return Promise.all(headers).then((lines) => ({ ...request, headers: lines }))
  return { ...request, headers: headers as HeaderLine[] }
}

function digested([name, value]: HeaderLine): MaybePromise<HeaderLine> {
  const hex = sha256(`${name}\n${value}`)
  return isPromise(hex) ? hex.then((text): HeaderLine => [name, `sha256:${text}`]) : [name, `sha256:${hex}`]
}
