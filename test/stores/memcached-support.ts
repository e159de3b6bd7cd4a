/** What the Memcached suites share: a client that keeps a log, and what a server has under a namespace. */
import { spawnSync } from 'node:child_process'
import type { MemcachedCommands } from '../../src/stores/memcached.ts'
import { exchange } from '../services/wire.ts'

/** The version of the memcached that is installed here, which is the one that tests start. */
export const VERSION: string =
  /\d[\d.]*/.exec(spawnSync('memcached', ['-V'], { encoding: 'utf8' }).stdout ?? '')?.[0] ?? ''

/** Passes every command on, and writes down its name and what follows the value: `set 61`, `get`. */
export function logged(client: MemcachedCommands, log: string[]): MemcachedCommands {
  const note = (name: string, exptime?: number): void =>
    void log.push(exptime === undefined ? name : `${name} ${exptime}`)
  return {
    get: (key) => (note('get'), client.get(key)),
    gets: (key) => (note('gets'), client.gets(key)),
    set: (key, value, exptime) => (note('set', exptime), client.set(key, value, exptime)),
    add: (key, value, exptime) => (note('add', exptime), client.add(key, value, exptime)),
    cas: (key, value, exptime, cas) => (note('cas', exptime), client.cas(key, value, exptime, cas)),
    delete: (key) => (note('delete'), client.delete(key)),
    touch: (key, exptime) => (note('touch', exptime), client.touch(key, exptime)),
    versions: () => client.versions(),
  }
}

export interface Item {
  readonly key: string
  readonly server: string
  /** Seconds since 1970; -1: no end. */
  readonly expires: number
}

const isWhole = (answer: Buffer): boolean => /(^|\n)(END|BUSY[^\n]*)\r?\n$/.test(answer.toString('latin1'))

/** What the servers have under a namespace, expired or not. */
export async function itemsOf(servers: readonly string[], namespace: string): Promise<Item[]> {
  const all = await Promise.all(
    servers.map(async (server) => {
      const colon = server.lastIndexOf(':')
      const request = 'lru_crawler metadump all\r\n'
      for (;;) {
        const answer = await exchange(server.slice(0, colon), Number(server.slice(colon + 1)), request, isWhole)
        const text = answer.toString('latin1')
        // Another test's crawl is under way.
        if (text.startsWith('BUSY')) continue
        const found = text.matchAll(/key=(\S+) exp=(-?\d+)/g)
        return Array.from(found, ([, key = '', exp]) => ({
          key: decodeURIComponent(key),
          server,
          expires: Number(exp),
        }))
      }
    }),
  )
  return all.flat().filter(({ key }) => key.startsWith(`${namespace}:`))
}
