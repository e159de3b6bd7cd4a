/** Header lines as Headers would give them, from those of a connection. */
import type { HeaderLine } from '../http/message.ts'
import type { RawHeaders } from './dispatcher.ts'

/** Names in lower case and in order, one line a name save Set-Cookie. */
export function headerLines(raw: RawHeaders): HeaderLine[] {
  const lines: HeaderLine[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = textOf(raw[at]).toLowerCase()
    const value = raw[at + 1]
    if (Array.isArray(value)) for (const one of value) insert(lines, name, textOf(one))
    else insert(lines, name, textOf(value))
  }
  return lines
}

function insert(lines: HeaderLine[], name: string, value: string): void {
  let at = lines.length
  for (; at > 0; at--) {
    const before = lines[at - 1]
    if (before === undefined || before[0] < name) break
    if (before[0] === name) {
      if (name === 'set-cookie') break
      lines[at - 1] = [name, `${before[1]}${name === 'cookie' ? '; ' : ', '}${value}`]
      return
    }
  }
  lines.splice(at, 0, [name, value])
}

/** RFC 9110 section 5.5: a byte that is not ASCII is a character of its own. */
function textOf(given: unknown): string {
  return typeof given === 'string' ? given : (given as Buffer).toString('latin1')
}
