/** Load by wrk where it is installed, else by autocannon: requests a second. */
import { execFile, execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'

export const CONNECTIONS = 32

export interface Loader {
  readonly name: string
  /** Asks for the URL as fast as it can for so many seconds. */
  run(url: string, seconds: number): Promise<Load>
}

export interface Load {
  readonly requestsPerSecond: number
  readonly requests: number
}

const run = promisify(execFile)

async function wrk(url: string, seconds: number): Promise<Load> {
  const { stdout } = await run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}`, url])
  const wrong = /Non-2xx.*|Socket errors.*/.exec(stdout)?.[0]
  if (wrong !== undefined) throw new Error(wrong)
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1]),
  }
}

async function autocannon(url: string, seconds: number): Promise<Load> {
  const script = createRequire(import.meta.url).resolve('autocannon')
  const args = [script, '-c', String(CONNECTIONS), '-d', String(seconds), '--json', url]
  const { stdout } = await run(process.execPath, args, { maxBuffer: 2 ** 24 })
  const result = JSON.parse(stdout) as { non2xx: number; errors: number; requests: { average: number; total: number } }
  if (result.non2xx + result.errors > 0)
    throw new Error(`${result.non2xx} answers that are no 2xx, ${result.errors} errors`)
  return { requestsPerSecond: result.requests.average, requests: result.requests.total }
}

export function findLoader(): Loader {
  try {
    execFileSync('sh', ['-c', 'command -v wrk'])
    return { name: `wrk, one thread, ${CONNECTIONS} connections`, run: wrk }
  } catch {
    return { name: `autocannon (wrk is not installed), ${CONNECTIONS} connections`, run: autocannon }
  }
}
