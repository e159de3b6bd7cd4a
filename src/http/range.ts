/** Range, Content-Range (RFC 9110 sections 14.1.2, 14.4): bytes only. */

export type ByteRange = { readonly first: number; readonly last: number | null } | { readonly suffix: number }

export interface RangeField {
  readonly unit: 'bytes'
  readonly ranges: readonly ByteRange[]
}

/** The ranges of a Range field; null: another unit, or malformed (then the field is ignored, section 14.2). */
export function parseRange(value: string): RangeField | null {
  const match = /^bytes[ \t]*=[ \t]*(.*)$/i.exec(value.trim())
  if (match?.[1] === undefined) return null
  const ranges: ByteRange[] = []
  for (const part of match[1].split(',')) {
    const text = part.trim()
    if (text === '') continue
    const range = parseOne(text)
    if (range === null) return null
    ranges.push(range)
  }
  return ranges.length === 0 ? null : { unit: 'bytes', ranges }
}

function parseOne(text: string): ByteRange | null {
  const match = /^([0-9]*)-([0-9]*)$/.exec(text)
  if (!match) return null
  const [, from = '', to = ''] = match
  if (from === '') return to === '' ? null : { suffix: position(to) }
  const first = position(from)
  const last = to === '' ? null : position(to)
  return last !== null && last < first ? null : { first, last }
}

/** Huge positions stay positions (RELIABILITY 24). */
function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER)
}

/** The inclusive positions of a range in a representation of `total` bytes; null: not satisfiable (section 14.1.2). */
export function resolveRange(
  range: ByteRange,
  total: number,
): { readonly first: number; readonly last: number } | null {
  if ('suffix' in range) {
    if (range.suffix === 0 || total === 0) return null
    return { first: Math.max(0, total - range.suffix), last: total - 1 }
  }
  if (range.first >= total) return null
  return { first: range.first, last: range.last === null ? total - 1 : Math.min(range.last, total - 1) }
}

export type ContentRange =
  | { readonly first: number; readonly last: number; readonly total: number | null }
  | { readonly unsatisfied: number | null }

export function parseContentRange(value: string): ContentRange | null {
  const match = /^bytes[ \t]+(?:([0-9]+)-([0-9]+)|\*)\/([0-9]+|\*)$/i.exec(value.trim())
  if (!match) return null
  const total = match[3] === '*' || match[3] === undefined ? null : Number(match[3])
  if (match[1] === undefined || match[2] === undefined) return { unsatisfied: total }
  const [first, last] = [Number(match[1]), Number(match[2])]
  return first <= last && (total === null || last < total) ? { first, last, total } : null
}

export function formatContentRange(first: number, last: number, total: number | null): string {
  return `bytes ${first}-${last}/${total ?? '*'}`
}
