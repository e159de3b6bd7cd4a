/**
 * Metadata of the commonest kind from its text, in a third of the time: a whole response that does not vary and has no tags, its fields in
 * the order in which they are written (keeper.ts). One expression finds the fields and checks each of them as meta.ts would; only the header
 * lines are parsed. It may only accept what the whole way accepts, with the same outcome (plain-meta.test.ts): all other text is left to that.
 */
import type { HeaderList } from '../http/message.ts'
import type { ResponseMeta, Terms } from '../policy/decision.ts'
import { isValidMeta, trust } from './meta.ts'

/** A string without escapes. */
const TEXT = String.raw`"([^"\\\0-\x1f]*)"`
const INSTANT = String.raw`(0|[1-9]\d{0,14})`
/** RFC 9110 sections 5.1 and 5.5, as meta.ts has them; quotes and backslashes are escaped in JSON, and a tab would be. */
const LINE = String.raw`\["[!#$%&'*+.^_${'`'}|~0-9A-Za-z-]+","(?:[ !\x23-\x5b\x5d-\x7e\x80-\xff]|\\["\\])*"\]`

const PLAIN = new RegExp(
  [
    String.raw`^\{"kind":"response","key":${TEXT},"method":${TEXT},"url":${TEXT},"selecting":\[\]`,
    String.raw`"status":([2-5]\d\d),"statusText":"([^"\\\0-\x1f\x7f]*)"`,
    String.raw`"headers":(\[(?:${LINE}(?:,${LINE})*)?\])`,
    String.raw`"requestTime":${INSTANT},"responseTime":${INSTANT}`,
    String.raw`"terms":(\{[^{}]*\}),"tags":\[\],"parts":null,"total":(?:null|${INSTANT}),"decoded":(true|false)\}$`,
  ].join(','),
)

const NONE: readonly never[] = Object.freeze([])

/** Longer texts are left to the whole way: an expression that goes through millions of characters runs out of stack (RELIABILITY 145). */
const LONGEST = 65_536

/** The metadata, trusted; null: the text is another kind's, another writer's, long, or wrong. */
export function plainMeta(text: string): ResponseMeta | null {
  const found = text.length > LONGEST ? null : PLAIN.exec(text)
  if (found === null) return null
  const [, key = '', method = '', url = '', status, statusText = '', headers = '', asked, answered, terms = ''] = found
  const known = termsOf(terms)
  if (known === null) return null
  return trust<ResponseMeta>({
    kind: 'response',
    key,
    method,
    url,
    selecting: NONE,
    status: Number(status),
    statusText,
    // Nothing that the expression accepts is refused here.
    headers: JSON.parse(headers) as HeaderList,
    requestTime: Number(asked),
    responseTime: Number(answered),
    terms: known,
    tags: NONE,
    parts: null,
    total: found[10] === undefined ? null : Number(found[10]),
    decoded: found[11] === 'true',
  })
}

/** Terms by their text: most responses of an origin have the same. */
const seen = new Map<string, Terms | null>()
const SEEN = 256

function termsOf(text: string): Terms | null {
  let terms = seen.get(text)
  if (terms === undefined) {
    if (seen.size >= SEEN) seen.clear()
    seen.set(text, (terms = checkedTerms(text)))
  }
  return terms
}

/** Checked by the one who checks metadata, in some that has nothing else. */
function checkedTerms(text: string): Terms | null {
  try {
    const terms = JSON.parse(text) as Terms
    return isValidMeta({ ...SAMPLE, terms }) ? Object.freeze(terms) : null
  } catch {
    return null
  }
}

const SAMPLE: Omit<ResponseMeta, 'terms'> = {
  kind: 'response',
  key: '',
  method: 'GET',
  url: '',
  selecting: NONE,
  status: 200,
  statusText: '',
  headers: NONE,
  requestTime: 0,
  responseTime: 0,
  tags: NONE,
  parts: null,
  total: null,
  decoded: false,
}
