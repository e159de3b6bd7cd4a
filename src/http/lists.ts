/** Comma-separated lists (RFC 9110 section 5.6.1), with quoted strings kept whole. */

/** The members without surrounding white space, empty ones left out. An unterminated quote is an ordinary character (RELIABILITY 89). */
export function splitList(value: string): string[] {
  if (!value.includes('"')) return value.split(',').map(trim).filter(isNotEmpty)
  const members: string[] = []
  let start = 0
  // Once a quote turns out to be unterminated, all further ones are ordinary: looking again for each would be quadratic.
  let quotes = true
  for (let at = 0; at < value.length; at++) {
    const char = value[at]
    if (char === '"' && quotes) {
      const end = endOfQuoted(value, at)
      if (end < 0) quotes = false
      else at = end
    } else if (char === ',') {
      members.push(value.slice(start, at))
      start = at + 1
    }
  }
  members.push(value.slice(start))
  return members.map(trim).filter(isNotEmpty)
}

/** The position of the closing quote; -1 where there is none. */
function endOfQuoted(value: string, start: number): number {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] === '\\') at += 1
    else if (value[at] === '"') return at
  }
  return -1
}

/** OWS is space and tab only. */
export function trim(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isOws(text.charCodeAt(start))) start += 1
  while (end > start && isOws(text.charCodeAt(end - 1))) end -= 1
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function isNotEmpty(text: string): boolean {
  return text !== ''
}

/** The text of a quoted string, or the value itself where it is none. */
export function unquote(value: string): string {
  if (value.length < 2 || value[0] !== '"' || value.at(-1) !== '"') return value
  return value.slice(1, -1).replaceAll(/\\(.)/gs, '$1')
}
