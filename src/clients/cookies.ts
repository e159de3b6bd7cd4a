/**
 * Cookies of a session (feature S9): those of live, cached and redirected responses go to the jar of this session only.
 *
 * Rule 1: a cached Set-Cookie counts from when the origin sent it: one that has expired since is not revived (row 169).
 * Rule 2: a shared cache replays no cookies (row 169); the session then uses its jar for requests, and live responses only.
 */
import { StateError } from '../errors.ts'
import type { HopHooks } from './incoming.ts'

/** What a cookie jar must have: tough-cookie's CookieJar fits. */
export interface CookieJar {
  setCookie(cookie: string, url: string, options?: { ignoreError?: boolean }): unknown
  getCookieString(url: string): string | Promise<string>
}

/** The jar tough-cookie gives, loaded when `cookies: true` asks for one. */
export async function loadJar(): Promise<CookieJar> {
  try {
    const { CookieJar: ToughJar } = await import('tough-cookie')
    return new ToughJar()
  } catch (error) {
    throw new StateError('ERR_MISSING_PEER', 'cookies: true needs the package tough-cookie: npm install tough-cookie', {
      cause: error,
    })
  }
}

/** `replay`: whether cookies of stored responses are restored (rule 2). */
export function cookieHooks(jar: () => Promise<CookieJar>, now: () => number, replay: boolean): HopHooks {
  return {
    async request(url, headers) {
      const cookies = await (await jar()).getCookieString(url)
      if (cookies === '') return
      const own = headers.get('cookie')
      headers.set('cookie', own === null ? cookies : `${own}; ${cookies}`)
    },
    async response(url, headers, { fromCache, meta }) {
      if (fromCache && !replay) return
      const age = Math.max(0, now() - (meta?.responseTime ?? now()))
      for (const cookie of headers.getSetCookie()) {
        const aged = agedCookie(cookie, age)
        if (aged !== null) await (await jar()).setCookie(aged, url, { ignoreError: true })
      }
    },
  }
}

/** The cookie as it is `age` ms after it was sent; null once it has expired. Expires is absolute and ages by itself. */
function agedCookie(cookie: string, age: number): string | null {
  const maxAge = /;\s*max-age\s*=\s*(-?\d+)/i.exec(cookie)
  if (maxAge?.[1] === undefined || age < 1000) return cookie
  const left = Math.floor(Number(maxAge[1]) - age / 1000)
  // A Max-Age of 0 or less deletes a cookie: that was for then, not for now.
  return left <= 0 ? null : cookie.replace(maxAge[0], `; Max-Age=${left}`)
}
