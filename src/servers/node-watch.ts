/**
 * The watch over a request whose key is known for answers that cannot be shared: only the head of this answer is looked at, for a sign
 * that the next one may be (rule 3 of node-gate.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CacheClient } from '../clients/client.ts'
import type { Address } from './addresses.ts'
import { looksShareable } from './answering.ts'
import type { Inside } from './gate.ts'
import { givenField } from './node-given.ts'
import type { RouteSettings } from './settings.ts'

export const VISIT: unique symbol = Symbol('keepfresh visit')

/** A request that is inside of a cache already. */
export interface Visited extends IncomingMessage {
  [VISIT]?: Inside
}

export function watch(
  request: IncomingMessage,
  response: ServerResponse,
  address: Address,
  { engine }: CacheClient,
  key: string,
): void {
  const passed: Inside = { settings: address.settings }
  ;(request as Visited)[VISIT] = passed
  const { writeHead } = response
  response.writeHead = ((...args: Parameters<typeof writeHead>) => {
    if (mayBeShared(response, args, passed.settings)) {
      engine.expectAgain(key)
      address.refusals = 0
    }
    return writeHead.apply(response, args)
  }) as typeof writeHead
}

/** Whether the next answer may be worth keeping, by the head of this one: what was set one by one, and what writeHead is given. */
function mayBeShared(
  response: ServerResponse,
  args: readonly unknown[],
  { effective: { policy } }: RouteSettings,
): boolean {
  const status = typeof args[0] === 'number' ? args[0] : response.statusCode
  const directives = valueOf(response, args, 'cache-control')
  const field = directives === undefined ? null : String(directives)
  return looksShareable(status, field, field === null && valueOf(response, args, 'expires') !== undefined, policy)
}

function valueOf(response: ServerResponse, args: readonly unknown[], name: string): unknown {
  return (args.length > 1 ? givenField(args, name) : undefined) ?? response.getHeader(name)
}
