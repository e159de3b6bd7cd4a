/** Starts the origin and asks it what it was asked. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { Origin } from './types.ts'

export async function startOrigin(): Promise<Origin> {
  const child = fork(new URL('../origin.ts', import.meta.url), { execArgv: [] })
  const exit = once(child, 'exit')
  const [port] = (await Promise.race([
    once(child, 'message'),
    exit.then(() => Promise.reject(new Error('the origin did not start'))),
  ])) as [number]
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    count: async (prefix) => Number(await plainGet(`${url}/count?prefix=${encodeURIComponent(prefix)}`)),
    close: async () => {
      child.disconnect()
      await exit
    },
  }
}

/** By node:http on a connection of its own: outside of everything that is measured. */
async function plainGet(url: string): Promise<string> {
  const sent = request(url, { agent: false })
  const answered = once(sent, 'response')
  sent.end()
  const [response] = await answered
  return (await buffer(response)).toString()
}
