/** Cache groups (RFC 9875). */
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import { isInnerList, parseList } from '../http/structured-fields.ts'

/** Section 2: at least 32 groups of at least 32 characters are supported; we take four times that. */
const MAX_GROUPS = 128

/** The groups a response belongs to. */
export function cacheGroups(headers: HeaderList): string[] {
  return stringsOf(headers, 'cache-groups')
}

/** The groups a response to an unsafe request invalidates (section 3). */
export function invalidatedGroups(headers: HeaderList): string[] {
  return stringsOf(headers, 'cache-group-invalidation')
}

function stringsOf(headers: HeaderList, name: string): string[] {
  const value = getHeader(headers, name)
  const members = value === null ? null : parseList(value)
  const groups: string[] = []
  for (const member of members ?? []) {
    if (!isInnerList(member) && member.item.type === 'string') groups.push(member.item.value)
  }
  return groups.slice(0, MAX_GROUPS)
}
