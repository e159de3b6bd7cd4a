/** The options of FileStore: what there is, what is checked, and which directory they name. */
import * as nodeFs from 'node:fs'
import type { Clock } from '../engine/ports.ts'
import type { FileSystem } from './file-system.ts'
import { placeOf } from './folders.ts'
import { checkOptions, CLOCK_RULE, givenOf, wrong, type OptionRule } from './options.ts'
import { SYSTEM_CLOCK } from './system-clock.ts'

export interface FileOptions {
  /** The directory; `~` is the home folder, parent folders are made. It must be new, empty, or a keepfresh store. Default `http_cache`. */
  readonly dir?: string
  /** A relative path is in the folder for temporary files. */
  readonly useTemp?: boolean
  /** A relative path is in the user's cache folder (`~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`). */
  readonly useCacheDir?: boolean
  /** What the names of entry files end with. Default: what the directory has, `.kf` for a new one. */
  readonly extension?: string
  /** Most bytes on the disk; the longest unused go first. Default Infinity. */
  readonly maxBytes?: number
  /** Most entries; the longest unused go first. Default Infinity. */
  readonly maxEntries?: number
  /** The largest body in bytes. Default `maxBytes`. */
  readonly maxEntrySize?: number
  /** Space on the disk is counted in blocks of this many bytes. Default 4096. */
  readonly blockBytes?: number
  /** Bodies up to this many bytes are in the file of their entry, longer ones in a file of their own. Default 64 KiB. */
  readonly inlineSize?: number
  /** Long bodies are read, written and checked in pieces of this many bytes. Default 256 KiB. */
  readonly chunkSize?: number
  /**
   * 'fast': whole after a crash of the process, and after a power cut whole or missing. 'full': also flushed to the disk before
   * a write is reported done. Default 'fast'.
   */
  readonly durability?: 'fast' | 'full'
  /** Reads hold the event loop instead of going through the thread pool: several times faster on a local disk. Default false. */
  readonly sync?: boolean
  /** Milliseconds to wait while another process changes the same entry. Default 5000. */
  readonly busyTimeout?: number
  /** Open at once, and throw where that fails; otherwise the first use opens. Default false. */
  readonly strict?: boolean
  /** For leases: the time. Default the system's. */
  readonly clock?: Clock
  /** In place of node:fs: every access to the disk goes through it. */
  readonly fs?: FileSystem
}

export interface FileSettings extends Required<Omit<FileOptions, 'extension'>> {
  /** Starts with a dot; null: as the directory has it. */
  readonly extension: string | null
}

/** The largest piece of a body held in memory. */
const MEMORY = 256 * 1024 * 1024

/** Bounds are whole numbers, or Infinity. */
const RULES: Readonly<Record<keyof FileOptions, OptionRule>> = {
  dir: { type: 'string' },
  useTemp: { type: 'boolean' },
  useCacheDir: { type: 'boolean' },
  extension: { type: 'string' },
  maxBytes: { type: 'number', range: [1, Infinity] },
  maxEntries: { type: 'number', range: [1, Infinity] },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
  blockBytes: { type: 'number', range: [1, MEMORY] },
  inlineSize: { type: 'number', range: [0, MEMORY] },
  chunkSize: { type: 'number', range: [1, MEMORY] },
  durability: { type: 'string', among: ['fast', 'full'] },
  sync: { type: 'boolean' },
  busyTimeout: { type: 'number', range: [0, 2_147_483_647] },
  strict: { type: 'boolean' },
  clock: CLOCK_RULE,
  fs: { type: 'object' },
}

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong type or a value that is not accepted
 */
export function settingsOf(given: string | FileOptions): FileSettings {
  const options = typeof given === 'string' ? { dir: given } : given
  checkOptions('FileStore', options, RULES)
  const set = givenOf<FileOptions>(options)
  checkNames(set)
  const { dir = 'http_cache', maxBytes = Infinity, maxEntrySize = Infinity, extension } = set
  if (set.blockBytes !== undefined && set.blockBytes > maxBytes)
    throw wrong('FileStore', 'blockBytes', 'must be at most `maxBytes`: not one file would fit')
  const defaults = {
    useTemp: false,
    useCacheDir: false,
    maxEntries: Infinity,
    blockBytes: 4096,
    inlineSize: 64 * 1024,
    chunkSize: 256 * 1024,
    durability: 'fast',
    sync: false,
    busyTimeout: 5000,
    strict: false,
    clock: SYSTEM_CLOCK,
    fs: nodeFs,
  } as const
  return {
    ...defaults,
    ...set,
    maxBytes,
    maxEntrySize: Math.min(maxEntrySize, maxBytes),
    extension: extension === undefined ? null : `.${extension.replace(/^\./, '')}`,
    dir: placeOf(dir, set),
  }
}

function checkNames({ dir, extension }: FileOptions): void {
  if (dir === '' || dir?.includes('\0') === true) throw wrong('FileStore', 'dir', 'must be the name of a directory')
  // Files of bodies, and those being written, have these endings; they must stay apart from entries.
  if (extension !== undefined && (!/^\.?[a-z0-9_-]{1,16}$/i.test(extension) || /^\.?(body|tmp)$/i.test(extension))) {
    throw wrong('FileStore', 'extension', "must be up to 16 letters, digits, '-' or '_', and not `body` or `tmp`")
  }
}
