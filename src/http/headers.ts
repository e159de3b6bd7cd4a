/** Looking things up in a header list. Names are given in lower case (message.ts rule 1). */
import type { HeaderLine, HeaderList } from './message.ts'
import { splitList } from './lists.ts'

/** All lines of a name, combined as RFC 9110 section 5.3 says; null: there is none. One line costs no allocation. */
export function getHeader(list: HeaderList, name: string): string | null {
  let value: string | null = null
  // By number: it is called often enough for iterators to be what a miss allocates most of.
  for (let at = 0; at < list.length; at++) {
    const line = list[at]
    if (line?.[0] === name) value = value === null ? line[1] : `${value}, ${line[1]}`
  }
  return value
}

export function hasHeader(list: HeaderList, name: string): boolean {
  for (let at = 0; at < list.length; at++) if (list[at]?.[0] === name) return true
  return false
}

/** The list with exactly one line of this name. */
export function withHeader(list: HeaderList, name: string, value: string): HeaderList {
  const rest = list.filter((line) => line[0] !== name)
  return [...rest, [name, value] satisfies HeaderLine]
}

/** Fields that are about one connection, never about the message (RFC 9110 section 7.6.1, RFC 9111 section 3.1). */
const HOP_BY_HOP: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

const ALWAYS: ReadonlySet<string> = new Set(HOP_BY_HOP)

/** What Connection nearly always says: it names no field that would have to be added. */
const OWN_WORDS = /^(?:keep-alive|close)$/i

/** The hop-by-hop fields and whatever Connection names. */
export function connectionHeaders(list: HeaderList): ReadonlySet<string> {
  const connection = getHeader(list, 'connection')
  if (connection === null || OWN_WORDS.test(connection)) return ALWAYS
  const names = new Set(HOP_BY_HOP)
  for (const member of splitList(connection)) names.add(member.toLowerCase())
  return names
}
