/** Targeted cache control (RFC 9213): a field for this cache takes the place of Cache-Control and Expires. */
import { fromDirectives, parseCacheControl, type CacheControl } from '../http/cache-control.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import { isInnerList, parseDictionary } from '../http/structured-fields.ts'
import type { PolicyOptions } from './options.ts'

export interface Directives {
  readonly directives: CacheControl
  readonly targeted: boolean
}

const NOTHING: Directives = { directives: parseCacheControl(null), targeted: false }

/** The directives in force for a response: those of the first targeted field that is present and valid, else Cache-Control's. */
export function directivesOf(headers: HeaderList, options: PolicyOptions): Directives {
  if (!options.cacheControl) return NOTHING
  for (const name of options.targets) {
    const value = getHeader(headers, name)
    const directives = value === null ? null : parseTargeted(value)
    // Section 2.2: an empty field says nothing, and is passed over like one that does not parse.
    if (directives?.present) return { directives, targeted: true }
  }
  return { directives: parseCacheControl(getHeader(headers, 'cache-control')), targeted: false }
}

/** Section 2.1: delta-seconds are Integers here. */
const LIFETIMES: ReadonlySet<string> = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'])

/** Section 2.1: a dictionary structured field; null where it is not one, or a lifetime in it has a value of another type. */
function parseTargeted(value: string): CacheControl | null {
  const members = parseDictionary(value)
  if (members === null) return null
  const directives: [string, string | null][] = []
  for (const [name, member] of members) {
    const type = isInnerList(member) ? 'list' : member.item.type
    if (LIFETIMES.has(name) && type !== 'integer') return null
    // An Inner List is no argument of any directive: as one that does not fit, it permits nothing and restricts what it can.
    if (isInnerList(member)) {
      directives.push([name, '()'])
      continue
    }
    const { item } = member
    if (item.type === 'boolean') {
      if (item.value) directives.push([name, null])
    } else directives.push([name, String(item.value)])
  }
  return fromDirectives(directives)
}
