/**
 * A local origin for tests, in the manner of httpbin: it answers, misbehaves on request, and counts.
 *
 * Rule 1: the request log is the truth about what reached the origin; a record is there before the answer is sent.
 * Rule 2: routes and scripts of the test come before the built-in endpoints.
 * Rule 3: what goes wrong inside a handler is a 500 and an entry in `errors`; nothing is swallowed.
 * Rule 4: it shares no parsing code with the library.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { sendAnswer } from './origin/answer.ts'
import { addCacheEndpoints } from './origin/endpoints-cache.ts'
import { addEchoEndpoints } from './origin/endpoints-echo.ts'
import { addFaultEndpoints } from './origin/endpoints-faults.ts'
import { answerGiven, checkAnswers, checkHandler, checkOptions } from './origin/given.ts'
import { RequestRecord } from './origin/record.ts'
import { Router } from './origin/router.ts'
import type { OriginAnswer, OriginExchange, OriginHandler, OriginOptions, OriginRequest } from './origin/types.ts'

export type {
  OriginAnswer,
  OriginExchange,
  OriginHandler,
  OriginHeaders,
  OriginOptions,
  OriginRequest,
} from './origin/types.ts'
export { bodyBytes, verifyBody, wholeBody } from './origin/body.ts'
export type { BodyVerdict } from './origin/body.ts'

/**
 * Starts an origin on 127.0.0.1.
 *
 * Endpoints (`?max-age=` sets Cache-Control on those of the second and third line):
 * - echo: /get /post /put /patch /delete /anything /headers /ip /user-agent /response-headers?name=value
 *   /status/{code} /basic-auth/{user}/{password} /delay/{s} /vary?by=a,b
 * - validators and ranges: /cache /cache/{s} /etag/{tag} /etag-every/{s} /range/{n} /large/{bytes}?seed= /bytes/{n}
 * - content: /json /html /xml /robots.txt /deny /encoding/utf8 /gzip /deflate /brotli /image /image/{png,jpeg,webp,svg}
 * - redirects and cookies: /redirect/{n} /relative-redirect/{n} /absolute-redirect/{n} /redirect-to?url=&status=
 *   /cookies /cookies/set?name=value /cookies/set/{name}/{value} /cookies/delete?name
 * - slow and endless: /slow?headers=s&body=s&trickle=ms /drip?numbytes=&duration=&delay=&code= /stream/{n} /stream-bytes/{n} /endless
 * - broken and unusual: /reset and /short (?bytes=&length=&chunked) /hangup /undelimited /overlong /early-hints /trailers
 *
 * `LocalOrigin.route` and `.script` add others.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { startOrigin } from 'keepfresh/testing'
 *
 * await using origin = await startOrigin()
 * const fetch = createCachedFetch()
 * await (await fetch(`${origin.url}/cache/60`)).text()
 * await (await fetch(`${origin.url}/cache/60`)).text()
 * console.log(origin.count('/cache/60')) // 1
 * ```
 */
export async function startOrigin(options: OriginOptions = {}): Promise<LocalOrigin> {
  checkOptions(options)
  const server = createServer()
  const origin = new LocalOrigin(server, options)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  return origin
}

/**
 * A running origin; made by `startOrigin`. Its own answers, beside the endpoints:
 *
 * @example
 * ```ts
 * await using origin = await startOrigin()
 * origin.route('/users/{id}', ({ params }) => ({ headers: { 'Cache-Control': 'max-age=60' }, json: { id: params['id'] } }))
 * origin.script('/flaky', [{ status: 503 }, { json: 'well again' }])
 * const first = await fetch(`${origin.url}/flaky`)
 * const second = await fetch(`${origin.url}/flaky`)
 * console.log(first.status, second.status) // 503 200
 * ```
 */
export class LocalOrigin implements AsyncDisposable {
  /** What went wrong in handlers, oldest first: a test may assert that it is empty. */
  readonly errors: unknown[] = []
  #server: Server
  #now: () => number
  #bodyLimit: number
  #requests: RequestRecord[] = []
  #inFlight = 0
  #custom = new Router()
  #builtIn = new Router()

  /** @internal */
  constructor(server: Server, options: OriginOptions) {
    this.#server = server
    this.#now = options.now ?? Date.now
    this.#bodyLimit = options.bodyLimit ?? 1 << 20
    addEchoEndpoints(this.#builtIn)
    addCacheEndpoints(this.#builtIn)
    addFaultEndpoints(this.#builtIn)
    server.on('request', (incoming, response) => void this.#serve(incoming, response))
  }

  /** `http://127.0.0.1:PORT`, without a trailing slash. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the origin is closed')
    return address.port
  }

  /** Every request since the start or the last `reset()`, in order of arrival. */
  get requests(): readonly OriginRequest[] {
    return this.#requests
  }

  /** Requests being answered right now. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How many requests: all, those for a path (with its query, if one is given), or those a predicate accepts. */
  count(what?: string | ((request: OriginRequest) => boolean)): number {
    if (what === undefined) return this.#requests.length
    if (typeof what === 'function') return this.#requests.filter(what).length
    return this.#requests.filter((request) => (what.includes('?') ? request.url : request.path) === what).length
  }

  /** Forgets the requests and errors so far; routes and scripts stay. */
  reset(): void {
    this.#requests = []
    this.errors.length = 0
  }

  /** Answers `'/path'` or `'METHOD /path'`; `{name}` stands for a segment, a trailing `*` for the rest. The newest route wins. */
  route(path: string, handler: OriginHandler): void {
    checkHandler(handler, path)
    this.#custom.add(path, handler)
  }

  /**
   * Answers the n-th request for a route with the n-th answer (or handler). A request after the last gets a 500 and an entry
   * in `errors`, unless `then` is 'last': then the last answer again.
   */
  script(
    path: string,
    answers: readonly (OriginAnswer | Response | OriginHandler)[],
    then: 'fail' | 'last' = 'fail',
  ): void {
    checkAnswers(answers, path)
    let next = 0
    this.route(path, (exchange) => {
      const answer = answers[next] ?? (then === 'last' ? answers.at(-1) : undefined)
      next++
      if (answer === undefined)
        throw new Error(`the script for ${path} has ${answers.length} answers; this was request ${next}`)
      return typeof answer === 'function' ? answer(exchange) : answer
    })
  }

  /** Stops listening, breaks off what is under way; idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = new RequestRecord(this.#requests.length + 1, incoming, this.#now(), this.#bodyLimit)
    this.#requests.push(record)
    this.#inFlight++
    const gone = new AbortController()
    // Watched on the socket too: an answer put on the wire raw has no response to close.
    const { socket } = incoming
    const abort = (): void => gone.abort()
    socket.once('close', abort)
    response.once('close', abort)
    response.once('finish', () => (record.finished = true))
    try {
      await this.#answer(incoming, response, record, gone.signal)
    } catch (error) {
      if (!gone.signal.aborted) this.#fail(response, error)
    } finally {
      socket.off('close', abort)
      this.#inFlight--
      if (!record.finished && gone.signal.aborted) record.aborted = true
    }
  }

  async #answer(
    incoming: IncomingMessage,
    response: ServerResponse,
    record: RequestRecord,
    signal: AbortSignal,
  ): Promise<void> {
    response.setHeader('Date', new Date(this.#now()).toUTCString())
    response.setHeader('origin-serial', record.serial)
    await record.read(incoming)
    const found = this.#custom.find(record.method, record.path) ?? this.#builtIn.find(record.method, record.path)
    const exchange = this.#exchange(incoming, response, record, signal, found?.params ?? {})
    const answer = found === null ? NOT_FOUND : await found.handler(exchange)
    if (answer !== undefined && (await sendAnswer(exchange, await answerGiven(answer)))) record.finished = true
  }

  #exchange(
    incoming: IncomingMessage,
    response: ServerResponse,
    request: OriginRequest,
    signal: AbortSignal,
    params: Readonly<Record<string, string>>,
  ): OriginExchange {
    const now = this.#now
    const wait = (ms: number): Promise<void> => sleep(ms, undefined, { signal, ref: false })
    return { request, params, origin: this.url, incoming, response, signal, now, wait }
  }

  #fail(response: ServerResponse, error: unknown): void {
    this.errors.push(error)
    if (response.headersSent) {
      response.destroy()
      return
    }
    response.statusCode = 500
    response.setHeader('Content-Type', 'text/plain')
    response.end(`${String(error)}\n`)
  }
}

const NOT_FOUND: OriginAnswer = { status: 404, headers: { 'Content-Type': 'text/plain' }, body: 'no such endpoint\n' }
