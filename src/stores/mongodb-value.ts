/**
 * JSON data in a form that every server takes, that people can read, and that comes back as it was.
 *
 * 1. A pair within a list is { name, value }: FerretDB 1 takes no list in a list, and `meta.headers.name` can be asked for.
 * 2. What would not come back so (texts with a lone surrogate, for which UTF-8 has no bytes, or other lists in lists) is the text of
 *    its JSON, as { json }.
 */

/** What is to be stored for a value of JSON. */
export function packed(value: unknown): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : { json: JSON.stringify(value) }
  const json = JSON.stringify(value)
  // JSON writes a lone surrogate as an escape. What only looks like one is kept as text without need, and without harm.
  if (/\\u[dD][89a-fA-F]/.test(json)) return { json }
  const result = withoutNesting(value)
  return hasNesting(result) || JSON.stringify(unpacked(result)) !== json ? { json } : result
}

/**
 * The value of JSON that was stored.
 * @throws SyntaxError where its text is no JSON
 */
export function unpacked(stored: unknown): unknown {
  if (isObject(stored) && typeof stored['json'] === 'string' && Object.keys(stored).length === 1) {
    return JSON.parse(stored['json'])
  }
  return withPairs(stored)
}

function withoutNesting(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => (isPair(item) ? named(item) : withoutNesting(item)))
  return isObject(value) ? mapped(value, withoutNesting) : value
}

function withPairs(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map((item: unknown) => (isNamed(item) ? [item.name, item.value] : withPairs(item)))
  return isObject(value) ? mapped(value, withPairs) : value
}

function hasNesting(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((item) => Array.isArray(item) || hasNesting(item))
  return isObject(value) && Object.values(value).some(hasNesting)
}

type Scalar = string | number | boolean | null
type Pair = readonly [string, Scalar]
interface Named {
  readonly name: string
  readonly value: Scalar
}

function isPair(item: unknown): item is Pair {
  return Array.isArray(item) && item.length === 2 && typeof item[0] === 'string' && isScalar(item[1])
}

function isNamed(item: unknown): item is Named {
  return isObject(item) && typeof item['name'] === 'string' && isScalar(item['value']) && Object.keys(item).length === 2
}

function named([name, value]: Pair): Named {
  return { name, value }
}

function isScalar(value: unknown): value is Scalar {
  return value === null || (typeof value !== 'object' && value !== undefined)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Own properties only; `__proto__` is a name like any other. */
function mapped(value: Readonly<Record<string, unknown>>, map: (item: unknown) => unknown): object {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, map(item)]))
}
