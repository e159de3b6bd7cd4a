/**
 * What a test asks for a service by. The environment says where services run; where it says nothing, a suite is skipped
 * by name and listed at the end of the run (`reporter.ts`), or, under `KEEPFRESH_REQUIRE_SERVICES=1`, is an error.
 * This file opens no socket: versions were asked for once, before the run (`setup.ts`).
 */
import { describe } from 'vitest'
import { type Kind, factsOf, serversOf, skipTitle } from './kinds.ts'

/** A server, or several, that runs. Tests share it: keep to a namespace of your own, and never flush it. */
export interface Service {
  readonly kind: Kind
  /** What runs there: `redis`, `valkey`, `FerretDB`. */
  readonly name: string
  /** Its version: `7.0.15`; empty when vitest's global setup did not run. */
  readonly version: string
  /** What a client library connects to: `redis://127.0.0.1:6391`; of a kind with several servers, the first one's. */
  readonly url: string
  /** `host:port` of each server. */
  readonly servers: readonly string[]
}

/** Whether a missing service is an error: `KEEPFRESH_REQUIRE_SERVICES` is set, and neither empty nor `0`. */
export function requiresServices(): boolean {
  const value = process.env['KEEPFRESH_REQUIRE_SERVICES'] ?? ''
  return value !== '' && value !== '0'
}

/**
 * The service of a kind that the environment names, or null.
 *
 * @throws Error when there is none and `KEEPFRESH_REQUIRE_SERVICES=1`.
 * @example service('redis')?.url // 'redis://127.0.0.1:6391'
 */
export function service(kind: Kind): Service | null {
  const facts = factsOf(kind)
  const value = process.env[facts.env] ?? ''
  const servers = serversOf(value)
  const first = servers[0]
  if (first === undefined) {
    if (!requiresServices()) return null
    throw new Error(`${kind} is required (KEEPFRESH_REQUIRE_SERVICES) and ${facts.env} is not set`)
  }
  const label = process.env[facts.versionEnv] ?? ''
  const [, name = label, version = ''] = /^(\D*?)[ ]+(\(?\d.*|\(.*)$/.exec(label) ?? []
  const url = facts.offsets.length > 1 ? `${facts.scheme}://${first}` : value
  return { kind, name: name === '' ? kind : name, version, url, servers }
}

/** How a suite's title names a service: `redis 7.0.15 at 127.0.0.1:6391`. */
export function titleOf(found: Service): string {
  const kind = found.kind === 'redis-cluster' ? ' cluster' : ''
  return `${found.name}${kind} ${found.version} at ${found.servers.join(', ')}`.replaceAll('  ', ' ')
}

/**
 * A suite that needs a service; its title says which server, of which version, answered. Without one it is skipped by
 * name, and `suite` is not called.
 *
 * @throws Error when there is none and `KEEPFRESH_REQUIRE_SERVICES=1`: the importing file fails.
 * @example
 * describeWithService('redis', (redis) => {
 *   it('B4: …', async () => { createClient({ url: redis.url }) })
 * })
 */
export function describeWithService(kind: Kind, suite: (found: Service) => void): void {
  const found = service(kind)
  if (found !== null) describe(titleOf(found), () => suite(found))
  else describe.skip(skipTitle(kind, factsOf(kind).env), (it) => void it('needs a server', () => undefined))
}
