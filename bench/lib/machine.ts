/** What the numbers were taken on and with: no names, no paths. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly platform: string
  readonly node: string
  readonly sqlite: string
}

export function machine(): Machine {
  const [first, ...rest] = cpus()
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: rest.length + 1,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    sqlite: process.versions['sqlite'] ?? 'unknown',
  }
}

export function describe(m: Machine): string {
  return `${m.cpu}, ${m.cores} cores, ${m.memoryGiB} GiB, ${m.platform}; Node ${m.node}, SQLite ${m.sqlite}`
}

/** The installed version of a package, as the contenders see it; null if it is not there. */
export function version(name: string): string | null {
  for (const dir of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    try {
      const found = JSON.parse(readFileSync(`${dir}/${name}/package.json`, 'utf8')) as { version: string }
      return found.version
    } catch (error) {
      // Not in this directory: Node itself would look in the next one, too.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  return null
}
