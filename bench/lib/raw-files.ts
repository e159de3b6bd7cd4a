/** Floor of a hit in files: one read of one file that is known to be there. */
import { hash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { rawClient } from './raw-client.ts'
import type { Client } from './types.ts'

export function rawFiles(dir: string, read: (path: string) => Uint8Array | Promise<Uint8Array>): Client {
  const paths = new Map<string, string>()
  return rawClient({
    async get(key) {
      const path = paths.get(key)
      return path === undefined ? null : read(path)
    },
    async set(key, value) {
      const path = `${dir}/${hash('sha256', key)}`
      await writeFile(path, value)
      paths.set(key, path)
    },
    close: async () => {},
  })
}
