/** Single-flight between processes (feature B11), for any store with a URL. */
import { randomUUID } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startOrigin, type LocalOrigin, type OriginAnswer } from '../../src/testing/index.ts'

const SCRIPT = fileURLToPath(new URL('flight-process.ts', import.meta.url))

const page = (delay: number, cacheControl: string): OriginAnswer => ({
  delay,
  headers: { 'Cache-Control': cacheControl },
  body: 'the page',
})

class Worker {
  readonly process: ChildProcess
  output = ''
  readonly #waiting = new Set<() => void>()
  constructor(args: readonly string[]) {
    this.process = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.process.stdout?.on('data', (data: Buffer) => {
      this.output += data.toString()
      for (const check of this.#waiting) check()
    })
  }
  said(word: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = word.exec(this.output)
        if (found === null) return
        this.#waiting.delete(check)
        resolve(found)
      }
      this.process.once('exit', (code) => (check(), reject(new Error(`it ended with ${code}: ${this.output}`))))
      this.#waiting.add(check)
      check()
    })
  }
  go(): void {
    this.process.stdin?.write('go\n')
  }
}

/** The suite; `makeUrl` gives the URL of an empty store that other processes can open, too. */
export function crossProcess(name: string, makeUrl: () => string | Promise<string>): void {
  describe(`${name}: single-flight between processes`, () => {
    let origin: LocalOrigin
    beforeAll(async () => {
      origin = await startOrigin()
      origin.route('/page', () => page(300, 'max-age=60'))
      origin.route('/slow', () => page(1000, 'max-age=60'))
      origin.route('/private', () => page(300, 'no-store'))
    })
    afterAll(() => origin.close())

    const together = async (count: number, url: string, lease = 10): Promise<Worker[]> => {
      const store = await makeUrl()
      const workers = Array.from({ length: 4 }, () => new Worker([store, url, String(count), String(lease)]))
      await Promise.all(workers.map((worker) => worker.said(/READY/)))
      return workers
    }
    const done = async (workers: readonly Worker[]): Promise<string[]> =>
      Promise.all(workers.map(async (worker) => (await worker.said(/DONE (\d+)/))[1] ?? ''))

    it('B11: 4 processes x 250 identical requests are one request to the origin', async () => {
      const url = `${origin.url}/page?${randomUUID()}`
      const workers = await together(250, url)
      for (const worker of workers) worker.go()
      expect(await done(workers)).toEqual(['250', '250', '250', '250'])
      expect(origin.count(new URL(url).pathname)).toBe(1)
    })

    it('69, 153: a leader that is killed holds the others up for its lease, not for ever', async () => {
      const url = `${origin.url}/slow?${randomUUID()}`
      const workers = await together(1, url, 1)
      const [leader, ...others] = workers
      leader?.go()
      await expect.poll(() => origin.count(new URL(url).pathname), { timeout: 10_000, interval: 5 }).toBe(1)
      leader?.process.kill('SIGKILL')
      for (const worker of others) worker.go()
      expect(await done(others)).toEqual(['1', '1', '1'])
      expect(origin.count(new URL(url).pathname)).toBe(2)
    })

    it('60: what cannot be shared is fetched by each, side by side', async () => {
      const url = `${origin.url}/private?${randomUUID()}`
      const workers = await together(1, url)
      for (const worker of workers) worker.go()
      expect(await done(workers)).toEqual(['1', '1', '1', '1'])
      expect(origin.count(new URL(url).pathname)).toBe(4)
    })
  })
}
