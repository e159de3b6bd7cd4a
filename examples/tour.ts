/**
 * The main job, shown: a CachedSession on SQLite against a real HTTP server.
 * `npm start` starts a server of its own; `npm start -- https://example.com/...` fetches URLs of yours.
 * Every claim is checked against what the server was asked; the exit code is 0 only if all of them held.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CachedSession, cacheInfo, createCachedFetch, type CachedFetch } from 'keepfresh'
import { SqliteStore } from 'keepfresh/sqlite'
import { startOrigin } from 'keepfresh/testing'

const MB = 1024 * 1024
let failures = 0
const [command, ...rest] = process.argv.slice(2)

const USAGE = `npm start                                 the tour: a session on SQLite against a server of its own
npm start -- https://example.com/ ...     URLs of yours, each three times; kept in keepfresh-tour.db`

if (command === '--again') await again(rest[0] ?? '', rest[1] ?? '')
else if (command === '--help' || command === '-h') console.log(USAGE)
else if (command !== undefined) await tourOf([command, ...rest])
else await tour()

/** A line of the tour: what was done, how long it took, what the cache says. */
async function show(title: string, work: () => Promise<{ response: Response; note?: string }>): Promise<Response> {
  const start = performance.now()
  const { response, note } = await work()
  const took = (performance.now() - start).toFixed(1)
  const info = cacheInfo(response)
  console.log(
    `${title.padEnd(44)} ${took.padStart(8)} ms  ${String(response.status)}  ${info?.outcome ?? ''}${note ? `  ${note}` : ''}`,
  )
  return response
}

function claim(holds: boolean, text: string): void {
  if (!holds) failures += 1
  console.log(`${holds ? '  ok   ' : '  FAILED '} ${text}`)
}

async function tour(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'keepfresh-tour-'))
  const file = join(folder, 'http.db')
  const origin = await startOrigin()
  origin.route('/slow', () => ({
    delay: 300,
    headers: { 'cache-control': 'max-age=60' },
    body: 'slow but worth keeping',
  }))
  origin.route('/tagged', ({ request }) =>
    request.header('if-none-match') === '"v1"'
      ? { status: 304, headers: { etag: '"v1"', 'cache-control': 'max-age=1' } }
      : { headers: { etag: '"v1"', 'cache-control': 'max-age=1' }, body: 'version 1' },
  )
  origin.route('/news', () => ({
    delay: 200,
    headers: { 'cache-control': 'max-age=1, stale-while-revalidate=60' },
    body: 'news',
  }))
  origin.route('/herd', () => ({ delay: 200, headers: { 'cache-control': 'max-age=60' }, body: 'for everybody' }))
  origin.route('/large', () => ({
    headers: { 'cache-control': 'max-age=60' },
    body: Buffer.alloc(32 * MB, 'keepfresh '),
  }))
  try {
    await using session = new CachedSession({ baseUrl: origin.url, store: new SqliteStore(file), autoClose: true })

    console.log('\nA first request is slow, the second is not:')
    await show('GET /slow', async () => body(await session.get('/slow')))
    const second = await show('GET /slow, again', async () => body(await session.get('/slow')))
    claim(origin.count('/slow') === 1 && cacheInfo(second)?.fromCache === true, 'the server was asked once')

    console.log('\nWhat has an ETag is revalidated by a 304 once it is stale:')
    await show('GET /tagged', async () => body(await session.get('/tagged')))
    await pause(1100)
    const confirmed = await show('GET /tagged, 1.1 s later', async () => body(await session.get('/tagged')))
    claim(
      cacheInfo(confirmed)?.revalidated === true && origin.count('/tagged') === 2,
      'the server was asked twice, the body came once',
    )

    console.log('\nStale while revalidate: nobody waits, the entry is renewed behind the scenes:')
    await show('GET /news', async () => body(await session.get('/news')))
    await pause(1100)
    const stale = await show('GET /news, 1.1 s later', async () => body(await session.get('/news')))
    await until(() => origin.count('/news') === 2)
    claim(cacheInfo(stale)?.outcome === 'stale', 'the stale answer came at once')
    claim(origin.count('/news') === 2, 'the server was asked again in the background')

    console.log('\nRedirects are cached hop by hop:')
    await show('GET /redirect/2', async () => body(await session.get('/redirect/2')))
    const asked = origin.requests.length
    const redirected = await session.get('/redirect/2')
    await show('GET /redirect/2, again', async () => body(redirected))
    claim(
      redirected.history.length === 2 && origin.requests.length === asked,
      'history is the same, the server was not asked',
    )

    console.log('\nA herd of 1,000 identical requests on a cold key:')
    const herd = await show('1,000 x GET /herd', async () => {
      const responses = await Promise.all(Array.from({ length: 1000 }, () => session.get('/herd')))
      const texts = new Set(await Promise.all(responses.map((response) => response.text())))
      return { response: responses[0] as Response, note: `${texts.size} body for all` }
    })
    claim(herd.status === 200 && origin.count('/herd') === 1, 'the server was asked once')

    console.log('\nA large body streams through and is stored on the way:')
    await show('GET /large (32 MiB)', async () => counted(await session.get('/large')))
    await until(async () => (await session.cache.get('/large')) !== undefined)
    await show('GET /large, again', async () => counted(await session.get('/large')))
    claim(origin.count('/large') === 1, 'the server sent it once')

    const { bytes, entries } = await session.cache.size()
    const { hitRatio, timeSaved } = await session.stats()
    console.log(
      `\n${entries} entries, ${(bytes / MB).toFixed(1)} MiB on disk, hit ratio ${hitRatio.toFixed(2)}, ${(timeSaved / 1000).toFixed(1)} s saved`,
    )

    console.log('\nAnother process opens the same file:')
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--again', file, `${origin.url}/slow`], {
      stdio: 'inherit',
    })
    claim(child.status === 0 && origin.count('/slow') === 1, 'the cache survived, the server was not asked')
  } finally {
    await origin.close()
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(failures === 0 ? '\nEverything held.' : `\n${failures} claims did not hold.`)
  process.exitCode = failures === 0 ? 0 : 1
}

/** The second process: hits what the first one stored. */
async function again(file: string, url: string): Promise<void> {
  await using session = new CachedSession({ store: new SqliteStore(file), autoClose: true })
  const response = await show('GET /slow, in a new process', async () => body(await session.get(url)))
  process.exitCode = cacheInfo(response)?.fromCache === true ? 0 : 1
}

/** The user's own URLs: each three times, the last one demanding a revalidation. One that fails does not keep the others back. */
async function tourOf(urls: readonly string[]): Promise<void> {
  const wrong = urls.find((url) => !/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
  if (wrong !== undefined) {
    console.error(`'${wrong}' is not a URL that begins with http:// or https://\n\n${USAGE}`)
    process.exitCode = 2
    return
  }
  const fetch = createCachedFetch({ store: new SqliteStore('keepfresh-tour.db'), autoClose: true })
  for (const url of urls) {
    console.log(`\n${url}`)
    try {
      await tourOfOne(fetch, url)
    } catch (error) {
      console.error(`failed: ${reasons(error)}`)
      process.exitCode = 1
    }
  }
  console.log('\nWhat could be stored is in keepfresh-tour.db: run this again and see the first requests hit.')
  await fetch.close()
}

async function tourOfOne(fetch: CachedFetch, url: string): Promise<void> {
  await show('first', async () => body(await fetch(url)))
  const second = await show('second', async () => body(await fetch(url)))
  await show('asked again (cache: no-cache)', async () => body(await fetch(url, { cache: 'no-cache' })))
  const { explain, ttl, refused } = cacheInfo(second) ?? {}
  const why = explain === undefined ? '' : `${explain.sentence} ${explain.rfc === null ? '' : `(${explain.rfc})`}`
  console.log(`The second: ${why}`)
  if (ttl !== undefined) console.log(`Fresh for ${ttl === Infinity ? 'ever' : `${Math.round(ttl)} s`}.`)
  if (refused !== undefined) console.log(`Not stored: ${refused}.`)
}

/** What went wrong, down to what the network said. */
function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${reasons(error.cause)}`
}

async function body(response: Response): Promise<{ response: Response }> {
  await response.text()
  return { response }
}

async function counted(response: Response): Promise<{ response: Response; note: string }> {
  let size = 0
  for await (const chunk of response.body ?? []) size += chunk.length
  return { response, note: `${(size / MB).toFixed(0)} MiB` }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200 && !(await holds()); tries++) await pause(25)
}
