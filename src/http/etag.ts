/** Entity tags (RFC 9110 section 8.8.3), byte for byte as received: unquoted ones exist and are compared as they are (RELIABILITY 94). */

/** The tags of If-None-Match or If-Match; '*' alone is any. Commas inside quotes belong to the tag. */
export function parseETagList(value: string): '*' | string[] {
  if (value.trim() === '*') return '*'
  const tags: string[] = []
  const pattern = /\s*((?:W\/)?"[^"]*"|[^,]+?)\s*(?:,|$)/gy
  let at = 0
  while (at < value.length) {
    pattern.lastIndex = at
    const match = pattern.exec(value)
    if (match?.[1] === undefined) {
      const comma = value.indexOf(',', at)
      at = comma < 0 ? value.length : comma + 1
      continue
    }
    tags.push(match[1])
    at = pattern.lastIndex
  }
  return tags
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
