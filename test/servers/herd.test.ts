/** M4: four server processes over one store; a herd on an expired page runs the handler once in all. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { describeWithService } from '../services/registry.ts'
import { running, type Running } from './support.ts'

const SCRIPT = fileURLToPath(new URL('herd-process.ts', import.meta.url))
const HERD = 100

const open: Worker[] = []
afterEach(async () => {
  for (const worker of open.splice(0)) await worker.end()
})

class Worker {
  readonly #process: ChildProcess
  #output = ''

  constructor(edge: string, store: string, options: object) {
    const args = [SCRIPT, edge, store, JSON.stringify(options)]
    this.#process = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#process.stdout?.on('data', (data: Buffer) => (this.#output += data.toString()))
    open.push(this)
  }

  async said(words: RegExp): Promise<string> {
    await expect.poll(() => this.#output, { timeout: 25_000, interval: 5 }).toMatch(words)
    return words.exec(this.#output)?.[1] ?? ''
  }

  get runs(): number {
    return this.#output.match(/RUN/g)?.length ?? 0
  }

  async advance(ms: number): Promise<void> {
    this.#process.stdin?.write(`${ms}\n`)
    await this.said(new RegExp(`AHEAD (${ms})`))
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.stdin?.end()
    await ended
  }
}

interface Herd {
  readonly servers: readonly Running[]
  runs(): number
  advance(ms: number): Promise<void>
  /** The texts that all of them answer at the same time. */
  ask(path: string): Promise<string[]>
}

async function herd(edge: string, store: string, options: object): Promise<Herd> {
  const workers = Array.from({ length: 4 }, () => new Worker(edge, store, options))
  const ports = await Promise.all(workers.map((worker) => worker.said(/PORT (\d+)/)))
  const servers = ports.map((port) => running(`http://127.0.0.1:${port}`, async () => undefined))
  return {
    servers,
    runs: () => workers.reduce((sum, worker) => sum + worker.runs, 0),
    advance: async (ms) => void (await Promise.all(workers.map((worker) => worker.advance(ms)))),
    ask: (path) =>
      Promise.all(servers.flatMap((server) => Array.from({ length: HERD }, async () => (await server.get(path)).text))),
  }
}

function herds(name: string, makeUrl: () => string): void {
  describe.each(['node', 'cached'])(`${name}, keepfresh/%s`, (edge) => {
    it('a page that has expired is made once, for all of them', async () => {
      const path = `/${randomUUID()}`
      const { servers, runs, advance, ask } = await herd(edge, makeUrl(), { ttl: 10 })
      // Each server has opened its store, and the first has made the page.
      const before = []
      for (const server of servers) before.push((await server.get(path)).text)
      expect([new Set(before).size, runs()]).toEqual([1, 1])
      await advance(20_000)
      const texts = await ask(path)
      expect([new Set(texts).size, runs()]).toEqual([1, 2])
      expect(texts[0]).not.toBe(before[0])
    })

    it('a stale page is answered at once by all of them, and refreshed by few', async () => {
      const path = `/${randomUUID()}`
      const { servers, runs, advance, ask } = await herd(edge, makeUrl(), { ttl: 10, staleWhileRevalidate: 600 })
      for (const server of servers) await server.get(path)
      await advance(20_000)
      await ask(path)
      // All of them soon have one that was made since.
      const fresh = async (): Promise<number> => {
        const ages = await Promise.all(servers.map(async (server) => (await server.get(path)).headers.age))
        return ages.filter((age) => Number(age) < 10).length
      }
      await expect.poll(fresh, { timeout: 5000 }).toBe(4)
      expect(runs()).toBe(2)
    })
  })
}

herds('SQLite', () => `sqlite:${join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db')}`)

describeWithService('redis', ({ url }) => herds('Redis', () => url))
