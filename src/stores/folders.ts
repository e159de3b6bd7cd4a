/** Where files are, and making the folders above them. */
import * as nodeFs from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'

/** The functions of node:fs that this takes. */
export interface FolderSystem {
  mkdirSync(path: string, mode?: number): unknown
  lstatSync(path: string): { isDirectory(): boolean } | undefined
}

/**
 * Makes a folder where there is none, and those above it. Not by `recursive`: that of node:fs goes on for ever where a parent is there, and
 * making something in it is answered as if it were not (below /proc).
 * @throws what mkdirSync throws, unless there is a folder or a link already
 */
export function makeFolders(path: string, mode?: number, fs: FolderSystem = nodeFs): void {
  try {
    fs.mkdirSync(path, mode)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || dirname(path) === path) return present(path, fs, error)
    makeFolders(dirname(path), mode, fs)
    try {
      fs.mkdirSync(path, mode)
    } catch (again) {
      // Others may make it, too.
      present(path, fs, again)
    }
  }
}

/** That it is there is no failure; nor is that of a root or a read-only disk on which it is. */
function present(path: string, fs: FolderSystem, error: unknown): void {
  if (codeOf(error) === 'EEXIST') return
  try {
    if (fs.lstatSync(path)?.isDirectory() === true) return
  } catch {
    // The first error says more.
  }
  throw error
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** A path as a user gives it, `~` being the home folder: a relative one is in the folder that the options name, else in the current one. */
export function placeOf(path: string, options: { useTemp?: boolean; useCacheDir?: boolean }): string {
  const home = path === '~' || path.startsWith('~/') || path.startsWith('~\\') ? join(homedir(), path.slice(1)) : path
  if (isAbsolute(home)) return resolve(home)
  if (options.useTemp === true) return join(tmpdir(), home)
  return options.useCacheDir === true ? join(cacheFolder(), home) : resolve(home)
}

function cacheFolder(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env
  if (process.platform === 'win32') return local ?? join(homedir(), 'AppData', 'Local')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches')
  return xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache')
}
