/**
 * Loaded before an example, in its process (`node --import`): the world it runs in.
 * - Example hosts are answered by the runner's site; ports of services lead to the servers of the environment.
 *   Every other way off the machine is an error: no example depends on a network.
 * - A server it starts listens on a free port, and keeps the process alive no longer than the example itself does;
 *   before the end it is asked for the paths the example names, and must not answer with an error of its own (5xx).
 */
import net from 'node:net'
import { Agent, request, setGlobalDispatcher } from 'undici'

interface Setting {
  readonly site: string
  /** Port in an example -> `host:port` of the server that is there. */
  readonly services: Readonly<Record<string, string>>
  readonly paths: readonly string[]
}

interface Target {
  readonly host?: string
  readonly port?: number | string
  readonly path?: string
}

const setting = JSON.parse(process.env['KEEPFRESH_DOCS_SETTING'] ?? '{}') as Setting
const moved = new Map<number, number>()
const servers = new Set<net.Server>()

const isExampleHost = (host: string): boolean => /(?:^|\.)example\.(?:com|org|net)$/.test(host)
const isOwnMachine = (host: string): boolean => /^(?:localhost|127\.\d+\.\d+\.\d+|\[?::1\]?|0\.0\.0\.0)$/.test(host)

setGlobalDispatcher(
  new Agent().compose((dispatch) => (options, handler) => {
    const { host, hostname } = new URL(options.origin ?? '')
    if (!isExampleHost(hostname)) return dispatch(options, handler)
    return dispatch({ ...options, origin: setting.site, path: `/${host}${options.path}` }, handler)
  }),
)

/** Where a connection goes instead. */
function divert(target: Target): Target {
  if (target.path !== undefined) return target
  const port = Number(target.port)
  const host = target.host ?? 'localhost'
  const service = setting.services[port]
  if (service !== undefined) {
    const colon = service.lastIndexOf(':')
    return { ...target, host: service.slice(0, colon), port: Number(service.slice(colon + 1)) }
  }
  if (!isOwnMachine(host)) throw new Error(`an example may not leave the machine: ${host}:${port}`)
  return { ...target, port: moved.get(port) ?? port }
}

const connect = net.Socket.prototype.connect as (this: net.Socket, ...args: unknown[]) => net.Socket
net.Socket.prototype.connect = function diverted(this: net.Socket, ...args: unknown[]): net.Socket {
  const [first, second] = args
  // Node's own callers hand over a marked list of [options, callback].
  if (Array.isArray(first)) first[0] = divert(first[0] as Target)
  else if (typeof first === 'object') args[0] = divert(first as Target)
  else if (typeof first === 'number') {
    const hasHost = typeof second === 'string'
    args.splice(0, hasHost ? 2 : 1, divert({ port: first, ...(hasHost ? { host: second } : {}) }))
  }
  return connect.apply(this, args)
} as typeof net.Socket.prototype.connect

const listen = net.Server.prototype.listen as (this: net.Server, ...args: unknown[]) => net.Server
net.Server.prototype.listen = function onAnyPort(this: net.Server, ...args: unknown[]): net.Server {
  const [first] = args
  let wanted = 0
  if (typeof first === 'number') {
    wanted = first
    args[0] = 0
  } else if (typeof first === 'object' && first !== null && 'port' in first) {
    wanted = Number(first.port)
    args[0] = { ...first, port: 0 }
  }
  this.on('connection', (socket: net.Socket) => socket.unref())
  const started = (): void => {
    const address = this.address()
    if (wanted > 0 && typeof address === 'object' && address !== null) moved.set(wanted, address.port)
    servers.add(this)
    this.unref()
  }
  const server = listen.apply(this, args)
  // Without a host to look up it listens already, before its event: a request in the next line must reach it.
  if (this.listening) started()
  else this.once('listening', started)
  return server
} as typeof net.Server.prototype.listen

async function visit(server: net.Server): Promise<void> {
  const address = server.address()
  if (typeof address !== 'object' || address === null) return
  for (const path of setting.paths) {
    const { statusCode, body } = await request(`http://127.0.0.1:${address.port}${path}`, { headersTimeout: 5000 })
    const text = await body.text()
    if (statusCode >= 500) throw new Error(`GET ${path}: its server answers ${statusCode} ${text.slice(0, 500)}`)
  }
}

process.on('beforeExit', () => {
  for (const server of servers) {
    servers.delete(server)
    visit(server).catch((error: unknown) => {
      console.error(error)
      process.exitCode = 1
    })
  }
})
