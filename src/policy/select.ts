/** Selecting by Vary (RFC 9111 section 4.1). */
import { getHeader } from '../http/headers.ts'
import { splitList, trim } from '../http/lists.ts'
import type { RequestHead } from '../http/message.ts'
import type { ResponseMeta, Variant, VariantIndex } from './decision.ts'
import type { PolicyOptions } from './options.ts'

type Selecting = ResponseMeta['selecting']

/** The selecting headers of a request for these names: their values as they are compared, null where absent. */
export function selecting(names: readonly string[], request: RequestHead, options: PolicyOptions): Selecting {
  return names.map((name) => [name, normalized(name, getHeader(request.headers, name), options)] as const)
}

/** Whether a request has the selecting headers an entry was stored for. */
export function matches(stored: Selecting, request: RequestHead, options: PolicyOptions): boolean {
  return stored.every(
    ([name, value]) => normalized(name, getHeader(request.headers, name), options) === normalized(name, value, options),
  )
}

/** The variant for a request: of several, the one with the most recent Date. */
export function selectVariant(index: VariantIndex, request: RequestHead, options: PolicyOptions): Variant | null {
  let chosen: Variant | null = null
  for (const variant of index.variants) {
    if (!matches(variant.selecting, request, options)) continue
    if (chosen === null || variant.date > chosen.date) chosen = variant
  }
  return chosen
}

/** White space around commas means nothing in a list, case means nothing in languages; what goes further is asked for (`normalizeVary`). */
function normalized(name: string, value: string | null, options: PolicyOptions): string | null {
  if (value === null) return null
  const members = splitList(value)
  if (name === 'accept-language' || name === 'accept-encoding') {
    const lower = members.map((member) => tight(tight(member.toLowerCase(), ';'), '='))
    return (options.normalizeVary ? byPreference(lower) : lower).join(', ')
  }
  return members.join(', ')
}

/** Without white space around a separator. (A pattern for it would be quadratic in white space that no separator follows.) */
function tight(member: string, separator: string): string {
  return member.includes(separator) ? member.split(separator).map(trim).join(separator) : member
}

/** Members by falling quality, equals in alphabetical order, q=1 left out: what the preference means, not how it was written. */
function byPreference(members: readonly string[]): string[] {
  return members
    .map((member) => {
      const [value = '', ...parameters] = member.split(';')
      const q = parameters.find((parameter) => parameter.startsWith('q='))
      return { value, quality: q === undefined ? 1 : Number(q.slice(2)) || 0 }
    })
    .toSorted((a, b) => b.quality - a.quality || (a.value < b.value ? -1 : 1))
    .map(({ value, quality }) => (quality === 1 ? value : `${value};q=${quality}`))
}
