/** Packages that are needed only by who uses them: loaded at the first use. */
import { StateError } from '../errors.ts'

/**
 * What `load` imports.
 * @param message who needs which package, and how to install it
 * @throws StateError ERR_MISSING_PEER where it is not installed
 */
export async function loadPeer<T>(load: () => Promise<T>, message: string): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'
    throw isMissing ? new StateError('ERR_MISSING_PEER', message, { cause }) : cause
  }
}
