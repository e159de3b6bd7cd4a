/** A herd on a page that was kept and has expired: how often the handler runs, and how long the last visitor waits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, within } from '../lib/attempt.ts'
import { digits } from '../lib/stats.ts'
import type { Cell } from '../lib/types.ts'
import { labelOf, NOT_INSTALLED, start, type Running } from './contender.ts'
import { HERD_TTL } from './page.ts'
import { askAll, openSockets } from './raw-clients.ts'

const PATIENCE = 120_000
const BYTES = 1024

export interface HerdResult {
  readonly kind: string
  readonly label: string
  readonly runs: number
  /** Until the last one has the page. */
  readonly ms: number
  readonly failure: string | null
}

export async function herd(kind: string, visitors: number): Promise<HerdResult> {
  const label = labelOf(kind)
  const none = { kind, label: label ?? kind, runs: Number.NaN, ms: Number.NaN }
  if (label === null) return { ...none, failure: NOT_INSTALLED }
  try {
    const running = await start(kind, 'herd', BYTES)
    try {
      return { ...none, ...(await within(stampede(running, visitors), PATIENCE)), failure: null }
    } finally {
      await running.stop()
    }
  } catch (error) {
    return { ...none, failure: `fails: ${messageOf(error)}` }
  }
}

async function stampede(running: Running, visitors: number): Promise<{ runs: number; ms: number }> {
  await (await fetch(`${running.url}/page`)).arrayBuffer()
  // nginx counts in whole seconds.
  const expires = performance.now() + HERD_TTL * 1000 + 1500
  const sockets = await openSockets(running.url, visitors)
  try {
    await sleep(Math.max(0, expires - performance.now()))
    const before = await running.runs()
    const started = performance.now()
    await askAll(sockets, '/page')
    const ms = performance.now() - started
    return { ms, runs: (await running.runs()) - before }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

export function herdRows(results: readonly HerdResult[]): Cell[][] {
  return results.map(({ label, runs, ms, failure }) =>
    failure === null ? [label, String(runs), digits(ms)] : [`${label} (**${failure}**)`, '-', '-'],
  )
}
