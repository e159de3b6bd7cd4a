/** Which servers an option or a URL names: `host:port`, `[::1]:port`, the path of a socket, or `memcached://user:password@a,b/namespace`. */
import { OptionError } from '../errors.ts'

/** Where a server is. */
export interface MemcachedServer {
  /** `host:port`, or a path: what the ring knows it by. */
  readonly name: string
  readonly target: { readonly host: string; readonly port: number } | { readonly path: string }
}

/** What a URL says beside the servers. */
export interface ServerList {
  readonly servers: readonly MemcachedServer[]
  readonly namespace: string | null
  readonly username: string | null
  readonly password: string | null
}

const PORT = 11211
const URL_FORM = /^memcached?:\/\/(?:([^/@]*)@)?([^/@]+)(?:\/([^/?#]*))?$/
const SERVER_FORM = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i

/**
 * Reads a list of servers, or a URL of several.
 * @throws OptionError ERR_OPTION_VALUE
 */
export function parseServers(given: string | readonly string[]): ServerList {
  const url = typeof given === 'string' ? URL_FORM.exec(given) : null
  const [username, password] = (url?.[1] ?? '').split(':').map(decoded)
  const texts = typeof given === 'string' ? (url?.[2] ?? given).split(',') : given
  const servers = new Map<string, MemcachedServer>()
  for (const text of texts) {
    const server = parseServer(text)
    servers.set(server.name, server)
  }
  if (servers.size === 0 || servers.size > 1000) throw wrong(`${servers.size} servers`)
  return {
    servers: [...servers.values()],
    namespace: decoded(url?.[3] ?? '') || null,
    username: username || null,
    password: password ?? null,
  }
}

function parseServer(given: unknown): MemcachedServer {
  if (typeof given !== 'string') throw wrong(typeof given)
  const text = given.trim()
  if (text.startsWith('/')) return { name: text, target: { path: text } }
  const match = SERVER_FORM.exec(text.replace(/^memcached?:\/\//, ''))
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3] ?? PORT)
  if (host === undefined || port < 1 || port > 65_535) throw wrong(`'${text}'`)
  return { name: `${match?.[1] === undefined ? host : `[${host}]`}:${port}`, target: { host, port } }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(`'${text}', which is no percent-encoding`)
  }
}

function wrong(what: string): OptionError {
  const message = `MemcachedStore: \`servers\` must be 'memcached://host:port,host:port', or a list of 'host:port', '[::1]:port' or '/path/to.sock', not ${what}.`
  return new OptionError('ERR_OPTION_VALUE', 'servers', message)
}
