/**
 * What a key is called in the database: itself, but where UTF-8 has no bytes for it, or a text would end early. Lone surrogates would all
 * become one and the same character there, and keys that differ in them only be one (row 192); a NUL ends a text for node:sqlite of Node 22.
 */

/** Begins what is written as JSON; a key that begins so is, too. No text has this character: it is set apart for uses like this one. */
const MARK = '\ufdd0'

/** The text in the column `key`. */
export function nameOf(key: string): string {
  return key.isWellFormed() && !key.includes('\0') && !key.startsWith(MARK) ? key : MARK + JSON.stringify(key)
}

/** The key that a text in the column `key` is of. */
export function keyOf(name: string): string {
  if (!name.startsWith(MARK)) return name
  try {
    const key: unknown = JSON.parse(name.slice(MARK.length))
    return typeof key === 'string' ? key : name
  } catch {
    // Not of ours: it is what it is.
    return name
  }
}
