import { createCachedFetch } from 'keepfresh'
import { SqliteStore } from 'keepfresh/sqlite'
import { statSync } from 'node:fs'
import { request } from 'undici'
import { BODY, fillKeepfresh, fillRaw, fillUndici, urlOfEntry } from '../lib/fill.ts'
import { FloorResponse } from '../lib/floor-response.ts'
import { race, ratio, type Result, type Subject } from '../lib/race.ts'
import { openRawTable } from '../lib/raw-table.ts'
import { digits, times } from '../lib/stats.ts'
import type { Cell, Context, Scenario, Target } from '../lib/types.ts'
import { cachedAgent } from '../lib/undici-agent.ts'

const RAW = 'floor: prepared SELECT'
const FLOOR = 'floor: prepared SELECT + minimal object'
const OURS = 'keepfresh'
const UNDICI = 'undici.request + cache'
/** undici has no bulk write: filling it further takes minutes. */
const UNDICI_LIMIT = 100_000

interface Runner extends Subject {
  readonly file: string
  close(): Promise<void>
}

export const scenario: Scenario = {
  title: 'SQLite hit, by number of entries',
  about:
    'Hits on 1 KB of text, the URLs at random among all that are stored, one at a time. Nobody has an origin: a miss is an error.',
  async run(context) {
    const sizes = context.entries ?? (context.quick ? [1e3, 1e4] : [1e3, 1e5, 1e6])
    const rows: Cell[][] = []
    let last: ReadonlyMap<string, Result> = new Map()
    for (const entries of sizes) {
      const runners = await fill(context, entries)
      context.log(`  ${entries} entries: asking`)
      const timing = context.quick ? { rounds: 3, turn: 30, warmUp: 60 } : { rounds: 9, turn: 100, warmUp: 400 }
      last = await race(runners, { ...timing, concurrency: 1 })
      for (const { label, file } of runners) rows.push(cells(entries, label, file, last))
      for (const runner of runners) await runner.close()
    }
    const largest = sizes.at(-1) ?? 0
    const columns = [
      'entries',
      'contender',
      'us (p95)',
      'of SELECT',
      'of SELECT + minimal object',
      `of ${OURS}`,
      'file, MiB',
    ]
    return { tables: [{ title: '1 KB text', columns, rows }], targets: [goal(largest, last)], notes: [] }
  },
}

function cells(entries: number, label: string, file: string, results: ReadonlyMap<string, Result>): Cell[] {
  const own = results.get(label)
  const ratios = [RAW, FLOOR, OURS].map((other) => times(ratio(own, results.get(other))))
  const time = own === undefined ? '-' : `${digits(own.median)} (${digits(own.p95)})`
  return [String(entries), label, time, ...ratios, digits(statSync(file).size / 2 ** 20)]
}

function goal(entries: number, results: ReadonlyMap<string, Result>): Target {
  const got = ratio(results.get(OURS), results.get(RAW))
  return { what: `${entries} entries: keepfresh, of SELECT`, sense: 'at most', limit: 1.3, got, unit: 'x' }
}

async function fill(context: Context, entries: number): Promise<Runner[]> {
  const dir = context.tmp()
  const has = (name: string): boolean => context.contenders.some((contender) => contender.name === name)
  context.log(`  ${entries} entries: filling`)
  fillRaw(`${dir}/raw.db`, entries)
  const runners = [raw(`${dir}/raw.db`, entries), floor(`${dir}/raw.db`, entries)]
  if (has(OURS)) {
    await fillKeepfresh(`${dir}/keepfresh.db`, entries)
    runners.push(ours(`${dir}/keepfresh.db`, entries))
  }
  if (has(UNDICI) && entries <= UNDICI_LIMIT) {
    fillUndici(`${dir}/undici.db`, entries)
    runners.push(undici(dir, entries))
  }
  for (const { label, call } of runners) {
    for (let i = 0; i < 10; i++)
      if ((await call(i)) !== BODY.toString()) throw new Error(`${label}: another body than was stored`)
  }
  return runners
}

/** URLs in an order without a pattern, the same for everybody. */
function randomUrls(entries: number): () => string {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return urlOfEntry(Math.floor((state / 2 ** 32) * entries))
  }
}

function raw(file: string, entries: number): Runner {
  const table = openRawTable(file)
  const next = randomUrls(entries)
  const call = async (): Promise<string> => textOf(table.get(next())?.body)
  return { label: RAW, file, call, close: async () => table.close() }
}

function floor(file: string, entries: number): Runner {
  const table = openRawTable(file)
  const next = randomUrls(entries)
  const hit = async (url: string): Promise<FloorResponse> => {
    const row = table.get(new URL(url).href)
    if (row === undefined || Date.now() >= row.expires_at) throw new Error('a miss')
    const { buffer, byteOffset, byteLength } = row.body
    return new FloorResponse({ status: 200, headers: [], bytes: Buffer.from(buffer, byteOffset, byteLength) })
  }
  return { label: FLOOR, file, call: async () => (await hit(next())).text(), close: async () => table.close() }
}

function ours(file: string, entries: number): Runner {
  const store = new SqliteStore(file)
  const next = randomUrls(entries)
  const fetch = createCachedFetch({ store, fetch: () => Promise.reject(new Error('a miss')) })
  const close = async (): Promise<void> => {
    await fetch.close()
    store.close()
  }
  return { label: OURS, file, call: async () => (await fetch(next())).text(), close }
}

function undici(dir: string, entries: number): Runner {
  const { dispatcher, close } = cachedAgent({ store: 'sqlite', dir })
  const next = randomUrls(entries)
  return {
    label: UNDICI,
    file: `${dir}/undici.db`,
    call: async () => (await request(next(), { dispatcher })).body.text(),
    close,
  }
}

function textOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) throw new Error('a miss')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}
