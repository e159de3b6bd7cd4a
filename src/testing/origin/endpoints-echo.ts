/** Endpoints that say what they were asked: /get, /anything, /headers, /cookies, /redirect, /status, ... */
import type { Router } from './router.ts'
import type { OriginAnswer, OriginExchange, OriginHandler, OriginRequest } from './types.ts'

export function addEchoEndpoints(router: Router): void {
  // HEAD is answered wherever GET is: node:http leaves the body out.
  router.add('HEAD /get', echo)
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) router.add(`${method} /${method.toLowerCase()}`, echo)
  router.add('/anything', echo)
  router.add('/anything/*', echo)
  router.add('/headers', ({ request }) => ({ json: { headers: fields(request) } }))
  router.add('/ip', ({ incoming }) => ({ json: { origin: incoming.socket.remoteAddress ?? '' } }))
  router.add('/user-agent', ({ request }) => ({ json: { 'user-agent': request.header('user-agent') } }))
  router.add('/response-headers', responseHeaders)
  router.add('/status/{code}', status)
  router.add('/basic-auth/{user}/{password}', basicAuth)
  router.add('/vary', vary)
  router.add('/delay/{seconds}', async (exchange) => {
    await exchange.wait(Math.min(Number(exchange.params['seconds']), 10) * 1000)
    return echo(exchange)
  })
  addRedirects(router)
  addCookies(router)
}

function addRedirects(router: Router): void {
  router.add('/redirect/{n}', chain('redirect', false))
  router.add('/relative-redirect/{n}', chain('relative-redirect', false))
  router.add('/absolute-redirect/{n}', chain('absolute-redirect', true))
  router.add('/redirect-to', ({ request }) => {
    const url = request.query.get('url')
    return url === null ? bad('url is missing') : redirect(url, Number(request.query.get('status') ?? 302))
  })
}

function addCookies(router: Router): void {
  router.add('/cookies', ({ request }) => ({ json: { cookies: cookies(request) } }))
  router.add('/cookies/set', ({ request }) => setCookies([...request.query]))
  router.add('/cookies/set/{name}/{value}', ({ params }) => setCookies([[params['name'] ?? '', params['value'] ?? '']]))
  router.add('/cookies/delete', ({ request }) =>
    setCookies([...request.query.keys()].map((name) => [name, '; Expires=Thu, 01 Jan 1970 00:00:00 GMT'])),
  )
}

function echo({ request, origin, incoming }: OriginExchange): OriginAnswer {
  const type = request.header('content-type') ?? ''
  const text = Buffer.from(request.body).toString('utf8')
  const isForm = type.includes('application/x-www-form-urlencoded')
  return {
    json: {
      method: request.method,
      url: origin + request.url,
      args: multi(request.query),
      headers: fields(request),
      origin: incoming.socket.remoteAddress ?? '',
      data: isForm ? '' : text,
      form: isForm ? multi(new URLSearchParams(text)) : {},
      json: parse(text),
    },
  }
}

function responseHeaders({ request }: OriginExchange): OriginAnswer {
  return { headers: [...request.query], json: multi(request.query) }
}

function status({ params }: OriginExchange): OriginAnswer {
  const code = Number(params['code'])
  if (!Number.isInteger(code) || code < 200 || code > 999) return bad('a status is 200 to 999')
  const headers: Record<string, string> = {}
  if (code > 300 && code < 309 && code !== 304) headers['Location'] = '/redirect/1'
  if (code === 401) headers['WWW-Authenticate'] = 'Basic realm="origin"'
  if (code === 407) headers['Proxy-Authenticate'] = 'Basic realm="origin"'
  return { status: code, headers, body: code === 204 || code === 304 ? '' : `status ${code}\n` }
}

function basicAuth({ request, params }: OriginExchange): OriginAnswer {
  const expected = Buffer.from(`${params['user']}:${params['password']}`).toString('base64')
  if (request.header('authorization') === `Basic ${expected}`) {
    return { json: { authenticated: true, user: params['user'] } }
  }
  return { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="origin"' } }
}

/** `?by=accept-language,foo`: varies on these request headers and says what they were. Fresh for `max-age` seconds (60). */
function vary({ request }: OriginExchange): OriginAnswer {
  const by = request.query.get('by') ?? ''
  const names = by.split(',').map((name) => name.trim().toLowerCase())
  return {
    headers: { Vary: by, 'Cache-Control': `max-age=${request.query.get('max-age') ?? '60'}` },
    json: Object.fromEntries(names.map((name) => [name, request.header(name)])),
  }
}

function chain(kind: string, absolute: boolean): OriginHandler {
  return ({ params, origin }) => {
    const left = Number(params['n'])
    if (!Number.isInteger(left) || left < 1) return bad('n must be a positive integer')
    const next = left === 1 ? '/get' : `/${kind}/${left - 1}`
    return redirect(absolute ? origin + next : next)
  }
}

function redirect(location: string, code = 302): OriginAnswer {
  return { status: code, headers: { Location: location } }
}

function setCookies(pairs: readonly (readonly [string, string])[]): OriginAnswer {
  const lines = pairs.map(([name, value]) => `${name}=${value}${value.startsWith(';') ? '' : '; Path=/'}`)
  return { status: 302, headers: { Location: '/cookies', 'Set-Cookie': lines } }
}

function cookies(request: OriginRequest): Record<string, string> {
  const pairs = (request.header('cookie') ?? '').split(';').filter((pair) => pair.includes('='))
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()]),
  )
}

function fields(request: OriginRequest): Record<string, string> {
  return Object.fromEntries(request.headers.map(([name]) => [name, request.header(name) ?? '']))
}

function multi(params: URLSearchParams): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = {}
  for (const name of params.keys()) {
    const values = params.getAll(name)
    result[name] = values.length === 1 ? (values[0] ?? '') : values
  }
  return result
}

function parse(text: string): unknown {
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: httpbin says null, and so do we.
    return null
  }
}

/** The request makes no sense: said plainly, so that a test with a typo fails with a reason. */
export function bad(message: string): OriginAnswer {
  return { status: 400, body: `${message}\n` }
}
