/** The options of SqliteStore: what there is, what is checked, and which file they name. */
import { extname } from 'node:path'
import { OptionError } from '../errors.ts'
import { placeOf } from './folders.ts'
import { checkOptions, givenOf, type OptionRule } from './options.ts'
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

const MIB = 1024 * 1024

const RULES: Readonly<Record<keyof SqliteOptions, OptionRule>> = {
  path: { type: 'string' },
  useTemp: { type: 'boolean' },
  useCacheDir: { type: 'boolean' },
  memory: { type: 'boolean' },
  wal: { type: 'boolean' },
  busyTimeout: { type: 'number', range: [0, 2_147_483_647] },
  fastSave: { type: 'boolean' },
  readOnly: { type: 'boolean' },
  driver: { type: 'function' },
  strict: { type: 'boolean' },
  open: { type: 'object' },
  inlineSize: { type: 'number', range: [0, 256 * MIB] },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
  // SQLite's own limit for a value is 1e9 bytes.
  chunkSize: { type: 'number', range: [1, 256 * MIB] },
}

const DEFAULTS = {
  path: 'http_cache',
  useTemp: false,
  useCacheDir: false,
  memory: false,
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

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong type or a number out of range
 */
export function settingsOf(given: string | SqliteOptions): SqliteSettings {
  const options = typeof given === 'string' ? { path: given } : given
  checkOptions('SqliteStore', options, RULES)
  const set = givenOf<SqliteOptions>(options)
  const settings = { ...DEFAULTS, ...set }
  if (settings.path === '' || settings.path.includes('\0')) throw wrong('path', 'it must be the name of a file')
  const memory = settings.memory || settings.path === ':memory:'
  if (memory && settings.readOnly) throw wrong('readOnly', 'it has no use with memory: there would be nothing to read')
  const named = extname(settings.path) === '' ? `${settings.path}.sqlite` : settings.path
  return { ...settings, memory, path: memory ? ':memory:' : placeOf(named, settings) }
}

function wrong(option: keyof SqliteOptions, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `SqliteStore: \`${option}\`: ${what}.`)
}
