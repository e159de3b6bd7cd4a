/**
 * A request body as it enters the key (rows 50-57): what means the same is the same bytes, and nothing else is.
 *
 * Rule 1: the kind is the first line, so that a form never equals a JSON document.
 * Rule 2: JSON loses key order at every depth, and nothing more: arrays, types and nulls stay as they are.
 * Rule 3: ignored names are ignored in the sub-tree of one member, where there is such a member and the body has it (row 60).
 * Rule 4: what does not parse as what it says, or is over 10 MiB, counts as the bytes it is.
 */
import { splitQuery } from './redact.ts'

const MAX_NORMALIZED = 10 * 1024 * 1024

export function canonicalBody(
  body: Uint8Array,
  contentType: string | null,
  ignored: ReadonlySet<string>,
  root: string | null = null,
): Uint8Array | string {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (body.length > MAX_NORMALIZED) return body
  if (/^application\/(?:[\w.+-]+\+)?json$/.test(type)) return canonicalJson(body, ignored, root) ?? body
  if (type === 'application/x-www-form-urlencoded') return canonicalForm(body, ignored)
  if (type.startsWith('multipart/')) return canonicalMultipart(body, contentType ?? '')
  return body
}

function canonicalJson(body: Uint8Array, ignored: ReadonlySet<string>, root: string | null): string | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    const within = root !== null && isObject(value) && Object.hasOwn(value, root)
    return `json\n${JSON.stringify(within ? sortWithin(value, root, ignored) : sortKeys(value, ignored, 0))}`
  } catch {
    // Not JSON after all, or nested beyond reason: rule 4.
    return null
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const NOTHING: ReadonlySet<string> = new Set()

/** Rule 3. The member itself stays, whatever its name. */
function sortWithin(value: Readonly<Record<string, unknown>>, root: string, ignored: ReadonlySet<string>): unknown {
  return sortPairs(Object.entries(value), (name, item) => sortKeys(item, name === root ? ignored : NOTHING, 1))
}

function sortKeys(value: unknown, ignored: ReadonlySet<string>, depth: number): unknown {
  if (depth > 500) throw new RangeError('too deep')
  if (Array.isArray(value)) return ['a', ...value.map((item) => sortKeys(item, ignored, depth + 1))]
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([name]) => !ignored.has(name.toLowerCase()))
  return sortPairs(kept, (_, item) => sortKeys(item, ignored, depth + 1))
}

/** Arrays of pairs instead of objects: `__proto__` and integer-like keys are plain data there. */
function sortPairs(pairs: [string, unknown][], of: (name: string, item: unknown) => unknown): unknown {
  const sorted = pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return ['o', ...sorted.map(([name, item]) => [name, of(name, item)])]
}

function canonicalForm(body: Uint8Array, ignored: ReadonlySet<string>): string {
  const params = splitQuery(latin1(body)).filter(({ name }) => !ignored.has(name))
  return `form\n${params
    .map(({ raw }) => raw)
    .toSorted()
    .join('&')}`
}

/** Row 56: the random boundary says nothing. */
function canonicalMultipart(body: Uint8Array, contentType: string): string | Uint8Array {
  const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  const token = boundary?.[1] ?? boundary?.[2]
  return token === undefined ? body : `multipart\n${latin1(body).replaceAll(`--${token}`, '--boundary')}`
}

/** One character a byte, so that no byte is lost or merged (`TextDecoder('latin1')` is windows-1252). */
function latin1(body: Uint8Array): string {
  let text = ''
  for (let start = 0; start < body.length; start += 8192)
    text += String.fromCharCode(...body.subarray(start, start + 8192))
  return text
}
