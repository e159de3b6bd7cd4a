/** What is run: a cache type and a store. */

export type CacheType = 'private' | 'shared'
export type StoreName = 'memory' | 'sqlite'
export type SubjectName = 'keepfresh' | 'undici' | 'bare'

export interface Configuration {
  readonly type: CacheType
  readonly store: StoreName
}

export const CONFIGURATIONS: readonly Configuration[] = [
  { type: 'private', store: 'memory' },
  { type: 'private', store: 'sqlite' },
  { type: 'shared', store: 'memory' },
  { type: 'shared', store: 'sqlite' },
]

/** `private/memory` and so on. */
export function nameOf(configuration: Configuration): string {
  return `${configuration.type}/${configuration.store}`
}

/** Whether a name in expected-failures.json (`private`, `shared/sqlite`, ...) covers the configuration. */
export function covers(name: string, configuration: Configuration): boolean {
  return name === configuration.type || name === nameOf(configuration)
}

/** All names that `covers` understands. */
export const CONFIGURATION_NAMES: ReadonlySet<string> = new Set(
  CONFIGURATIONS.flatMap((configuration) => [configuration.type, nameOf(configuration)]),
)
