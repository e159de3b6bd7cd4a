/** Comma-separated lists (RFC 9110 section 5.6.1), with quoted strings kept whole. */

/**
 * The members without surrounding white space, empty ones left out. A quoted string is one only where the grammar has one: it begins a member
 * or follows `=`, and a separator follows it. Any other quote is an ordinary character, and swallows no later member (RELIABILITY 89).
 */
export function splitList(value: string): string[] {
  if (!value.includes('"')) return value.split(',').map(trim).filter(isNotEmpty)
  const members: string[] = []
  let start = 0
  let blank = true
  for (let at = 0; at < value.length; at++) {
    const char = value[at]
    if (char === ',') {
      members.push(value.slice(start, at))
      start = at + 1
      blank = true
      continue
    }
    // What opens here ends before the next that could open: nothing is looked at more than twice.
    if (char === '"' && (blank || value[at - 1] === '=')) at = Math.max(at, endOfQuoted(value, at))
    blank &&= isOws(value.charCodeAt(at))
  }
  members.push(value.slice(start))
  return members.map(trim).filter(isNotEmpty)
}

const SEPARATED = /[ \t]*(?:[,;]|$)/y

/** The position of the closing quote; -1 where there is none, or something other than a separator follows it. */
function endOfQuoted(value: string, start: number): number {
  for (let at = start + 1; at < value.length; at++) {
    if (value[at] === '\\') at += 1
    else if (value[at] === '"') {
      SEPARATED.lastIndex = at + 1
      return SEPARATED.test(value) ? at : -1
    }
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
