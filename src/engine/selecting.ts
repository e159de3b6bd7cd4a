/** Selecting headers that are credentials, or that the user ignores, are stored and compared as digests, never in clear (feature K3). */
import type { HeaderLine, RequestHead } from '../http/message.ts'
import { sha256 } from './digest.ts'
import { isPromise } from './maybe.ts'
import type { MaybePromise } from './ports.ts'
import { CREDENTIAL_HEADERS } from './redact.ts'

/** The request as Vary may see it: the credentials among `names`, and the `ignored` ones, replaced by digests. */
export function selectingView(
  request: RequestHead,
  names: readonly string[],
  ignored: ReadonlySet<string>,
): MaybePromise<RequestHead> {
  const secret = (name: string): boolean => CREDENTIAL_HEADERS.has(name) || ignored.has(name)
  if (!names.some(secret)) return request
  const headers = request.headers.map((line) => (secret(line[0]) ? digested(line) : line))
  if (headers.some(isPromise)) return Promise.all(headers).then((lines) => ({ ...request, headers: lines }))
  return { ...request, headers: headers as HeaderLine[] }
}

function digested([name, value]: HeaderLine): MaybePromise<HeaderLine> {
  const hex = sha256(`${name}\n${value}`)
  return isPromise(hex) ? hex.then((text): HeaderLine => [name, `sha256:${text}`]) : [name, `sha256:${hex}`]
}
