/**
 * The client in front of an edge: no cache, no redirects followed, no field added and none taken out, as the node-fetch of the suite's own command line.
 * The platform's fetch would not do: it adds `Cache-Control: no-cache` to every request with a condition.
 */
import { Agent, request } from 'undici'
import type { SuiteFetch } from './suite.ts'

export interface PlainClient {
  readonly fetch: SuiteFetch
  close(): Promise<void>
}

export function createPlainClient(): PlainClient {
  const dispatcher = new Agent()
  return {
    fetch: async (url, { method = 'GET', headers = [], body: content = null } = {}) => {
      const options = { method, headers: headers.flat(), body: content, dispatcher }
      const { statusCode: status, statusText, headers: fields, body } = await request(url, options)
      return { status, statusText, headers: headersOf(fields), text: () => body.text() }
    },
    close: () => dispatcher.destroy(),
  }
}

function headersOf(fields: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers()
  for (const [name, value = []] of Object.entries(fields)) {
    for (const line of Array.isArray(value) ? value : [value]) headers.append(name, line)
  }
  return headers
}
