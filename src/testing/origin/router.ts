/** Routes of the origin: `/path`, `METHOD /path`, `{name}` for one segment, a trailing `*` for the rest. The newest match wins. */
import { OptionError } from '../../errors.ts'
import type { OriginHandler } from './types.ts'

interface Route {
  readonly method: string | null
  readonly pattern: RegExp
  readonly handler: OriginHandler
}

export interface Found {
  readonly handler: OriginHandler
  readonly params: Readonly<Record<string, string>>
}

export class Router {
  #routes: Route[] = []

  add(route: string, handler: OriginHandler): void {
    const [, method = null, path = ''] = (typeof route === 'string' && /^(?:([A-Z][A-Z-]*) )?(.*)$/s.exec(route)) || []
    if (!path.startsWith('/')) {
      const given = typeof route === 'string' ? `'${route}'` : typeof route
      throw new OptionError('ERR_OPTION_VALUE', 'route', `an origin route is '/path' or 'METHOD /path', not ${given}`)
    }
    this.#routes.unshift({ method, pattern: compile(path), handler })
  }

  find(method: string, path: string): Found | null {
    for (const route of this.#routes) {
      if (route.method !== null && route.method !== method) continue
      const match = route.pattern.exec(path)
      if (match !== null) return { handler: route.handler, params: decode(match.groups ?? {}) }
    }
    return null
  }

  clear(): void {
    this.#routes = []
  }
}

function compile(path: string): RegExp {
  const source = path.replace(/\{([A-Za-z]\w*)\}|\*$|[\\^$.|?*+()[\]{}]/g, (token, name: string | undefined) => {
    if (name !== undefined) return `(?<${name}>[^/]+)`
    return token === '*' ? '(?<rest>.*)' : `\\${token}`
  })
  return new RegExp(`^${source}$`, 's')
}

function decode(groups: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const params: Record<string, string> = {}
  for (const [name, value] of Object.entries(groups)) params[name] = decodeOne(value ?? '')
  return params
}

function decodeOne(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    // Not valid percent-encoding: the text as sent is what a test can compare with.
    return value
  }
}
