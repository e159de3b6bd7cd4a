/** Entity tags (RFC 9110 section 8.8.3), byte for byte as received: unquoted ones exist and are compared as they are (RELIABILITY 94). */
import { trim } from './lists.ts'

/** The tags of If-None-Match or If-Match; '*' alone is any. Commas inside quotes belong to the tag. */
export function parseETagList(value: string): '*' | string[] {
  if (trim(value) === '*') return '*'
  const tags: string[] = []
  let start = 0
  while (start < value.length) {
    const end = endOfTag(value, start)
    const tag = trim(value.slice(start, end))
    if (tag !== '') tags.push(tag)
    start = end + 1
  }
  return tags
}

const OPENING = /[ \t]*(?:W\/)?"/y
const CLOSING = /"[ \t]*(?=,|$)/y

/** Where the member at `start` ends: the comma after it, or the end. Each quote is looked at twice at most: nothing here is quadratic. */
function endOfTag(value: string, start: number): number {
  OPENING.lastIndex = start
  if (OPENING.test(value)) {
    CLOSING.lastIndex = value.indexOf('"', OPENING.lastIndex)
    if (CLOSING.lastIndex >= 0 && CLOSING.test(value)) return CLOSING.lastIndex
  }
  const comma = value.indexOf(',', start)
  return comma < 0 ? value.length : comma
}

export function isStrong(etag: string): boolean {
  return !etag.startsWith('W/')
}

/** Section 8.8.3.2: equal, and neither weak. */
export function strongMatch(a: string, b: string): boolean {
  return isStrong(a) && a === b
}

/** Section 8.8.3.2: equal but for weakness. */
export function weakMatch(a: string, b: string): boolean {
  return opaque(a) === opaque(b)
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}
