/**
 * What the fault suites hurt: a server of a test's own (`ownServer`), which it may kill, pause and restart, and the
 * connection to one (`tcpProxy`). A server from the environment is shared by every test and must never be hurt;
 * put a proxy in front of it instead.
 */
import { describe } from 'vitest'
import { type Kind, skipTitle } from './kinds.ts'
import { isInstalled } from './local.ts'
import { requiresServices } from './registry.ts'
import { type Server, type ServerOptions, startServer } from './server.ts'

export { type Server, type ServerOptions, freePort } from './server.ts'
export { type TcpProxy, tcpProxy } from './tcp-proxy.ts'

/** The kinds a test can have a server of its own of. */
export type OwnKind = Exclude<Kind, 'redis-cluster'>

/**
 * Starts a server on a free port of 127.0.0.1 for one test. Its data does not outlive `kill` or `restart`, unless the
 * arguments say so (`--appendonly yes`) or it is a MongoDB server.
 *
 * @throws Error when it is not installed or does not start.
 * @example
 * await using redis = await ownServer('redis', { args: ['--maxmemory', '5mb', '--maxmemory-policy', 'noeviction'] })
 * await redis.kill()
 * await redis.restart()
 */
export function ownServer(kind: OwnKind, options: ServerOptions = {}): Promise<Server> {
  return startServer(kind, options)
}

/** Starts a server for one test: `ownServer` with its kind filled in. */
export type StartOwn = (options?: ServerOptions) => Promise<Server>

/**
 * A suite whose tests start servers of their own. Where the program is not installed it is skipped by name, or, under
 * `KEEPFRESH_REQUIRE_SERVICES=1`, an error.
 *
 * @example
 * describeWithOwnServer('redis', (start) => {
 *   it('row 36: …', async () => {
 *     await using redis = await start()
 *   })
 * })
 */
export function describeWithOwnServer(kind: OwnKind, suite: (start: StartOwn) => void): void {
  if (isInstalled(kind)) {
    describe(`${kind}, a server of its own`, () => suite((options) => ownServer(kind, options)))
    return
  }
  if (requiresServices()) throw new Error(`${kind} is required and not installed: run test/services/install.sh`)
  describe.skip(skipTitle(kind, 'not installed'), (it) => void it('needs a server', () => undefined))
}
