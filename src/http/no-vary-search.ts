/**
 * No-Vary-Search (draft-ietf-httpbis-no-vary-search): which parts of a query make no difference to a response.
 *
 * What does not parse, or contradicts itself, says nothing: then every query is another resource.
 */
import { percentDecode } from './percent.ts'
import { isInnerList, parseDictionary, type Member } from './structured-fields.ts'

/** The rule of a response: the names that count, or those that do not, and whether their order does. */
export interface SearchVariance {
  readonly orderMatters: boolean
  /** Names that make no difference; 'all' but those in `except`. */
  readonly ignored: ReadonlySet<string> | 'all'
  readonly except: ReadonlySet<string>
}

const NONE: ReadonlySet<string> = new Set()

/** The rule of a field's value; null: none, and the query counts as a whole. */
export function parseNoVarySearch(value: string | null): SearchVariance | null {
  const members = value === null ? null : parseDictionary(value)
  if (members === null) return null
  const order = boolean(members.get('key-order'), false)
  const params = members.get('params')
  const ignored = params !== undefined && isInnerList(params) ? names(params) : boolean(params, false)
  const exceptions = members.get('except')
  const except = exceptions === undefined ? NONE : names(exceptions)
  if (order === null || ignored === null || except === null) return null
  // `except` without `params` has nothing to be an exception of.
  if (exceptions !== undefined && ignored !== true) return null
  if (!order && (ignored === false || (ignored instanceof Set && ignored.size === 0))) return null
  return {
    orderMatters: !order,
    ignored: ignored === true ? 'all' : ignored === false ? NONE : (ignored as ReadonlySet<string>),
    except,
  }
}

function boolean(member: Member | undefined, otherwise: boolean): boolean | null {
  if (member === undefined) return otherwise
  return !isInnerList(member) && member.item.type === 'boolean' ? member.item.value : null
}

/** Names are given as in a query: percent-encoded. */
function names(member: Member): ReadonlySet<string> | null {
  if (!isInnerList(member)) return null
  const all = new Set<string>()
  for (const { item } of member.items) {
    if (item.type !== 'string') return null
    all.add(decoded(item.value))
  }
  return all
}

/** Whether two queries (without the question mark) name one resource under a rule. */
export function sameSearch(a: string, b: string, rule: SearchVariance): boolean {
  const [left, right] = [significant(a, rule), significant(b, rule)]
  return (
    left.length === right.length && left.every(([name, value], at) => name === right[at]?.[0] && value === right[at][1])
  )
}

function significant(query: string, { orderMatters, ignored, except }: SearchVariance): [string, string][] {
  const pairs: [string, string][] = []
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decoded(equals < 0 ? part : part.slice(0, equals))
    if (ignored === 'all' ? !except.has(name) : ignored.has(name)) continue
    pairs.push([name, decoded(equals < 0 ? '' : part.slice(equals + 1))])
  }
  // Stable: the values of one name keep their order.
  return orderMatters ? pairs : pairs.toSorted(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0))
}

/** As application/x-www-form-urlencoded has it. */
function decoded(text: string): string {
  return percentDecode(text.replaceAll('+', ' '))
}
