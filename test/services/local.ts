/**
 * What this machine has: where each server's program is, and the command line that starts one.
 * Nothing here downloads: `install.sh` does that, into the folder that `cacheFolder` names.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import type { Kind } from './kinds.ts'

/** A command to run: a program with its arguments. */
export interface Command {
  readonly program: string
  readonly args: readonly string[]
  /** Where its version stands in its output, for a server that does not say it over the wire. */
  readonly version?: RegExp
}

/** What one process of a kind is started with. */
export interface Place {
  readonly port: number
  /** A folder of its own, empty at first, kept over restarts. */
  readonly folder: string
  /** Further arguments, after ours, so that they win. */
  readonly extra: readonly string[]
}

/** The folder in which `install.sh` leaves what no package manager installs; `install.sh` computes the same. */
export function cacheFolder(): string {
  const own = process.env['KEEPFRESH_SERVICES_CACHE']
  if (own !== undefined && own !== '') return resolve(own)
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'keepfresh-services')
}

/** The full path of a program on PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    // Absolute, since a server runs in a folder of its own.
    const path = resolve(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder: the next one may have it.
    }
  }
  return undefined
}

function redis(place: Place, clustered: boolean): Command | undefined {
  const program = findProgram('redis-server') ?? findProgram('valkey-server')
  if (program === undefined) return undefined
  const cluster = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', '5000']
  const own = ['--port', String(place.port), '--bind', '127.0.0.1', '--dir', place.folder]
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--daemonize', 'no']
  const args = [...own, ...memoryOnly, ...(clustered ? cluster : []), ...place.extra]
  return { program, args }
}

function memcached(place: Place): Command | undefined {
  const program = findProgram('memcached')
  if (program === undefined) return undefined
  // As root it refuses to run unless told as whom.
  const user = userInfo().uid === 0 ? ['-u', 'root'] : []
  return { program, args: ['-l', '127.0.0.1', '-p', String(place.port), '-U', '0', ...user, ...place.extra] }
}

function dynamodb(place: Place): Command | undefined {
  const program = findProgram('java')
  const home = join(cacheFolder(), 'dynamodb')
  const jar = join(home, 'DynamoDBLocal.jar')
  if (program === undefined || !existsSync(jar)) return undefined
  const java = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Djava.io.tmpdir=${place.folder}`]
  const library = `-Djava.library.path=${join(home, 'DynamoDBLocal_lib')}`
  // One table list for every region and key id, so that two clients see the same.
  const own = ['-inMemory', '-sharedDb', '-disableTelemetry', '-port', String(place.port)]
  const args = [...java, library, '-jar', jar, ...own, ...place.extra]
  return { program, args, version: /^Version:\s*(?<version>\S+)/m }
}

function mongodb(place: Place): Command | undefined {
  const mongod = findProgram('mongod')
  if (mongod !== undefined) {
    const where = ['--bind_ip', '127.0.0.1', '--port', String(place.port), '--dbpath', place.folder]
    return { program: mongod, args: [...where, '--nounixsocket', ...place.extra] }
  }
  const program = join(cacheFolder(), 'ferretdb')
  if (!existsSync(program)) return undefined
  const args = [`127.0.0.1:${place.port}`, place.folder, ...place.extra]
  return { program, args, version: /^FerretDB v(?<version>\S+)/m }
}

/** The command that starts one process of a kind, or undefined when this machine lacks the program. */
export function commandFor(kind: Kind, place: Place): Command | undefined {
  switch (kind) {
    case 'redis':
      return redis(place, false)
    case 'redis-cluster':
      return findProgram('redis-cli') === undefined ? undefined : redis(place, true)
    case 'memcached':
      return memcached(place)
    case 'dynamodb':
      return dynamodb(place)
    case 'mongodb':
      return mongodb(place)
  }
}

/** Whether this machine can start servers of a kind. */
export function isInstalled(kind: Kind): boolean {
  return commandFor(kind, { port: 0, folder: '', extra: [] }) !== undefined
}
