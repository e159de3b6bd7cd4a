/** Whether somebody is known to be asking, by what sessions and authentication of the frameworks leave behind (feature M3). */

/** What session libraries keep on every session, also on one that nothing was put into. */
const OF_THE_LIBRARY: ReadonlySet<string> = new Set([
  'cookie',
  'id',
  'isNew',
  'sessionId',
  '__ts',
  '_ctx',
  '_expire',
  '_maxAge',
  '_sessCtx',
])

/** @param user what authentication found out; @param session what the visitor's session holds */
export function isSignedIn(user: unknown, session: unknown): boolean {
  return (user !== undefined && user !== null && user !== false) || holdsAnything(session)
}

/** Fails closed: whatever is not known to be the library's own is the visitor's. */
function holdsAnything(session: unknown): boolean {
  if (typeof session !== 'object' || session === null) return false
  const { data } = session as { data?: unknown }
  // Some hand their values out by a method.
  if (typeof data === 'function' && holdsAnything(Reflect.apply(data, session, []))) return true
  return Object.entries(session).some(
    ([name, value]) =>
      !OF_THE_LIBRARY.has(name) &&
      value !== undefined &&
      value !== null &&
      value !== false &&
      typeof value !== 'function',
  )
}
