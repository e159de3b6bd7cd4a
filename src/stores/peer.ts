/**
 * Packages that are needed only by who uses them: imported at the first use, each import in a `try` of its own function. There a bundler
 * (esbuild, webpack) leaves alone what it cannot resolve; anywhere else it would refuse to build for everybody who lacks the package.
 */
import { StateError } from '../errors.ts'

/** How a missing module is told: by Node's import(), and by require() and webpack, to which bundlers turn it. */
const MISSING: ReadonlySet<unknown> = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'])

/**
 * What to throw where the import of a package has failed: StateError ERR_MISSING_PEER if it is not installed, else what failed.
 * @param message who needs which package, and how to install it
 */
export function missingPeer(cause: unknown, message: string): unknown {
  const isMissing = cause instanceof Error && 'code' in cause && MISSING.has(cause.code)
  return isMissing ? new StateError('ERR_MISSING_PEER', message, { cause }) : cause
}
