/** Vary (RFC 9110 section 12.5.5). */
import { splitList } from './lists.ts'

const STAR: readonly string[] = Object.freeze(['*'])
const NONE: readonly string[] = Object.freeze([])
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** Lower-case names without repetition, ['*'] where a star is among them, null for what is malformed (never reused then). */
export function parseVary(value: string | null): readonly string[] | null {
  if (value === null) return NONE
  const members = splitList(value)
  if (members.length === 0) return NONE
  if (members.includes('*')) return STAR
  if (!members.every((member) => NAME.test(member))) return null
  return [...new Set(members.map((member) => member.toLowerCase()))]
}
