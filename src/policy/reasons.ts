/** Every reason as a sentence with the section that decided: for cacheInfo, events, inspectors and the documentation alike. */
import type { Reason } from './decision.ts'

export interface Explanation {
  readonly sentence: string
  /** The document and section, or null where the user's own option decided. */
  readonly rfc: string | null
}

export const REASONS: Readonly<Record<Reason, Explanation>> = {
  method: { sentence: 'Responses to this method are not cached here.', rfc: 'RFC 9111 section 3' },
  'mode-no-store': { sentence: 'The request was made with cache: no-store.', rfc: 'Fetch, cache mode' },
  'request-no-store': { sentence: 'The request says Cache-Control: no-store.', rfc: 'RFC 9111 section 5.2.1.5' },
  'expire-after-zero': { sentence: 'expireAfter is 0 for this request: neither read nor stored.', rfc: null },
  disabled: { sentence: 'The cache is disabled here.', rfc: null },
  precondition: {
    sentence: 'If-Match and If-Unmodified-Since are for the origin to evaluate.',
    rfc: 'RFC 9111 section 4.3.2',
  },
  'multi-range': { sentence: 'Several ranges in one request are forwarded.', rfc: 'RFC 9110 section 14.2' },
  'range-unit': { sentence: 'The range has a unit other than bytes, or is malformed.', rfc: 'RFC 9110 section 14.2' },
  'request-body': {
    sentence: 'A request with a body that is no part of the key is forwarded.',
    rfc: 'RFC 9110 section 9.3.1',
  },
  'key-unavailable': { sentence: 'No key could be made for the request.', rfc: null },
  'expire-after-failed': { sentence: 'The function given as expireAfter threw, or gave no duration.', rfc: null },
  'uri-miss': { sentence: 'Nothing is stored for this URL.', rfc: 'RFC 9111 section 4' },
  'vary-miss': {
    sentence: 'Responses are stored for this URL, but none for these selecting headers.',
    rfc: 'RFC 9111 section 4.1',
  },
  'partial-miss': { sentence: 'The stored parts do not hold all of it.', rfc: 'RFC 9111 section 3.3' },
  'authorization-miss': {
    sentence: 'The request says who asks, and what is stored for others does not say that it is for all.',
    rfc: 'RFC 9111 section 3.5',
  },
  filtered: { sentence: 'The filter refused the stored response.', rfc: null },
  'mode-reload': { sentence: 'The request was made with cache: reload.', rfc: 'Fetch, cache mode' },
  'force-refresh': { sentence: 'The request demanded a whole new response.', rfc: null },
  'store-failure': { sentence: 'The store failed; the origin answered.', rfc: null },
  fresh: { sentence: 'The stored response is fresh.', rfc: 'RFC 9111 section 4.2' },
  'mode-force-cache': { sentence: 'The request takes any stored response, however old.', rfc: 'Fetch, cache mode' },
  collapsed: { sentence: 'An identical request was under way; its answer was shared.', rfc: 'RFC 9111 section 4' },
  revalidated: { sentence: 'The origin confirmed the stored response.', rfc: 'RFC 9111 section 4.3.3' },
  'stale-while-revalidate': {
    sentence: 'Stale, but allowed while it is revalidated in the background.',
    rfc: 'RFC 5861 section 3',
  },
  'max-stale': { sentence: 'Stale, but the request accepts that.', rfc: 'RFC 9111 section 5.2.1.2' },
  'stale-if-error': { sentence: 'Stale, but allowed since the origin failed.', rfc: 'RFC 5861 section 4' },
  disconnected: { sentence: 'Stale, but the origin cannot be reached.', rfc: 'RFC 9111 section 4.2.4' },
  stale: { sentence: 'The stored response is stale and was revalidated.', rfc: 'RFC 9111 section 4.3' },
  'no-cache': { sentence: 'The stored response must be revalidated on each use.', rfc: 'RFC 9111 section 5.2.2.4' },
  'request-no-cache': { sentence: 'The request says Cache-Control: no-cache.', rfc: 'RFC 9111 section 5.2.1.4' },
  'request-max-age': {
    sentence: 'The stored response is older than the request accepts.',
    rfc: 'RFC 9111 section 5.2.1.1',
  },
  'request-min-fresh': {
    sentence: 'The stored response is not fresh for as long as the request asks.',
    rfc: 'RFC 9111 section 5.2.1.3',
  },
  pragma: { sentence: 'The request says Pragma: no-cache.', rfc: 'RFC 9111 section 5.4' },
  'mode-no-cache': { sentence: 'The request was made with cache: no-cache.', rfc: 'Fetch, cache mode' },
  refresh: { sentence: 'The request demanded a revalidation.', rfc: null },
  'always-revalidate': { sentence: 'alwaysRevalidate is on.', rfc: null },
  'vary-star': { sentence: 'The response varies on more than the request.', rfc: 'RFC 9111 section 4.1' },
  invalidated: { sentence: 'A tag or group of the stored response was invalidated.', rfc: 'RFC 9875 section 3' },
  clock: {
    sentence: 'The clock is behind the stored response: its age cannot be told.',
    rfc: 'RFC 9111 section 4.2.3',
  },
  'refresh-ahead': { sentence: 'Still fresh, and refreshed in the background ahead of its end.', rfc: null },
  'no-store': { sentence: 'The response says Cache-Control: no-store.', rfc: 'RFC 9111 section 5.2.2.5' },
  private: { sentence: 'The response is private, the cache is shared.', rfc: 'RFC 9111 section 5.2.2.7' },
  authorization: {
    sentence: 'The request said who asks, and the response does not say that it is for all.',
    rfc: 'RFC 9111 section 3.5',
  },
  'set-cookie': { sentence: 'The response sets a cookie, the cache is shared.', rfc: 'RFC 9111 section 7.3' },
  cookie: {
    sentence: 'The request had a cookie, and the response no explicit freshness.',
    rfc: 'RFC 9111 section 7.3',
  },
  'vary-credentials': {
    sentence: 'The response varies on credentials, the cache is shared.',
    rfc: 'RFC 9111 section 7.3',
  },
  status: { sentence: 'The status is not one that is stored without explicit freshness.', rfc: 'RFC 9111 section 3' },
  'status-not-understood': { sentence: 'The status is not understood.', rfc: 'RFC 9111 section 3' },
  'not-modified': { sentence: 'A 304 is no response to store.', rfc: 'RFC 9111 section 4.3.3' },
  'no-freshness': {
    sentence: 'The response is stale on arrival and cannot be revalidated.',
    rfc: 'RFC 9111 section 4.2',
  },
  partial: { sentence: 'The part is not described well enough to be stored.', rfc: 'RFC 9111 section 3.3' },
  'head-size': { sentence: 'The HEAD disagrees with what is stored.', rfc: 'RFC 9111 section 4.3.5' },
  'server-error': { sentence: 'A server error changes nothing that is stored.', rfc: 'RFC 9111 section 4.3.3' },
  secret: { sentence: 'Its Location carries a value that is not to be stored.', rfc: null },
  undelimited: {
    sentence: 'Only the end of the connection ends the body: one that was cut would look whole.',
    rfc: 'RFC 9112 section 8',
  },
  'only-if-cached': {
    sentence: 'Only a stored response would do, and there is none.',
    rfc: 'RFC 9111 section 5.2.1.7',
  },
}
