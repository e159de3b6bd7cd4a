/** The options of SqliteStore: what there is, what is checked, and which file they name. */
import { homedir, tmpdir } from 'node:os'
import { extname, isAbsolute, join, resolve } from 'node:path'
import { nearest, OptionError } from '../errors.ts'
import type { SqliteDriver } from './sqlite-driver.ts'

export interface SqliteOptions {
  /** The file; `~` is the home folder, `.sqlite` is added where there is no extension, parent folders are made. Default `http_cache.sqlite`. */
  readonly path?: string
  /** A relative path is in the folder for temporary files. */
  readonly useTemp?: boolean
  /** A relative path is in the user's cache folder (`~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`). */
  readonly useCacheDir?: boolean
  /** No file: a database in memory that ends with the store. */
  readonly memory?: boolean
  /** Write-ahead log: readers and the writer do not wait for each other. Default true. */
  readonly wal?: boolean
  /** Milliseconds to wait for a lock another process holds. Default 5000. */
  readonly busyTimeout?: number
  /** Leave flushing to the operating system (`synchronous = OFF`): faster writes; a power cut may cost the file. Default false. */
  readonly fastSave?: boolean
  /** Never write; the file must be there. */
  readonly readOnly?: boolean
  /** Another library: a class like `DatabaseSync` of node:sqlite, for example better-sqlite3. */
  readonly driver?: SqliteDriver
  /** Open at once, and throw where that fails; otherwise the first use opens. Default false. */
  readonly strict?: boolean
  /** More options for the library's constructor. */
  readonly open?: Readonly<Record<string, unknown>>
  /** Bodies up to this many bytes are in the row of their entry, longer ones in chunks. Default 64 KiB. */
  readonly inlineSize?: number
  /** The largest body in bytes. Default Infinity. */
  readonly maxEntrySize?: number
  /** Bytes in a chunk of a long body. Default 512 KiB. */
  readonly chunkSize?: number
}

export interface SqliteSettings extends Required<Omit<SqliteOptions, 'driver'>> {
  readonly driver: SqliteDriver | null
}

const TYPES = {
  path: 'string',
  useTemp: 'boolean',
  useCacheDir: 'boolean',
  memory: 'boolean',
  wal: 'boolean',
  busyTimeout: 'number',
  fastSave: 'boolean',
  readOnly: 'boolean',
  driver: 'function',
  strict: 'boolean',
  open: 'object',
  inlineSize: 'number',
  maxEntrySize: 'number',
  chunkSize: 'number',
} as const satisfies Record<keyof SqliteOptions, string>

/** The least and the greatest value of each number; whole numbers, save for Infinity. */
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  busyTimeout: [0, 2_147_483_647],
  inlineSize: [0, 256 * 1024 * 1024],
  maxEntrySize: [0, Infinity],
  // SQLite's own limit for a value is 1e9 bytes.
  chunkSize: [1, 256 * 1024 * 1024],
}

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong type or a number out of range
 */
export function settingsOf(given: string | SqliteOptions): SqliteSettings {
  const options: unknown = typeof given === 'string' ? { path: given } : given
  if (typeof options !== 'object' || options === null) {
    throw new OptionError('ERR_OPTION_VALUE', 'options', 'SqliteStore takes a path or an object of options.')
  }
  for (const [name, value] of Object.entries(options)) check(name, value)
  const chosen = options as SqliteOptions
  const memory = chosen.memory === true || chosen.path === ':memory:'
  if (memory && chosen.readOnly === true) {
    throw new OptionError(
      'ERR_OPTION_VALUE',
      'readOnly',
      'readOnly has no use with memory: there would be nothing to read.',
    )
  }
  const defaults = {
    useTemp: false,
    useCacheDir: false,
    wal: true,
    busyTimeout: 5000,
    fastSave: false,
    readOnly: false,
    driver: null,
    strict: false,
    open: {},
    inlineSize: 64 * 1024,
    maxEntrySize: Infinity,
    chunkSize: 512 * 1024,
  }
  const set = Object.fromEntries(Object.entries(chosen).filter(([, value]) => value !== undefined)) as SqliteOptions
  return { ...defaults, ...set, memory, path: memory ? ':memory:' : fileOf(chosen) }
}

function check(name: string, value: unknown): void {
  const type: string | undefined = Object.hasOwn(TYPES, name) ? TYPES[name as keyof SqliteOptions] : undefined
  if (type === undefined) {
    const near = nearest(name, Object.keys(TYPES))
    const hint = near === undefined ? `Options are: ${Object.keys(TYPES).join(', ')}.` : `Did you mean \`${near}\`?`
    throw new OptionError('ERR_OPTION_UNKNOWN', name, `SqliteStore has no option \`${name}\`. ${hint}`)
  }
  if (value === undefined) return
  if (typeof value !== type || value === null) {
    throw new OptionError(
      'ERR_OPTION_VALUE',
      name,
      `\`${name}\` must be a ${type}, not ${value === null ? 'null' : typeof value}.`,
    )
  }
  if (name === 'path' && (value === '' || String(value).includes('\0'))) {
    throw new OptionError('ERR_OPTION_VALUE', name, '`path` must be the name of a file.')
  }
  const range = RANGES[name]
  if (range === undefined || typeof value !== 'number') return
  const whole = Number.isSafeInteger(value) || value === Infinity
  if (!whole || value < range[0] || value > range[1]) {
    throw new OptionError(
      'ERR_OPTION_VALUE',
      name,
      `\`${name}\` must be a whole number from ${range[0]} to ${range[1]}, not ${value}.`,
    )
  }
}

function fileOf({ path = 'http_cache', useTemp, useCacheDir }: SqliteOptions): string {
  const home = path === '~' || path.startsWith('~/') || path.startsWith('~\\') ? join(homedir(), path.slice(1)) : path
  const named = extname(home) === '' ? `${home}.sqlite` : home
  if (isAbsolute(named)) return named
  if (useTemp === true) return join(tmpdir(), named)
  return useCacheDir === true ? join(cacheFolder(), named) : resolve(named)
}

function cacheFolder(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env
  if (process.platform === 'win32') return local ?? join(homedir(), 'AppData', 'Local')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches')
  return xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache')
}
