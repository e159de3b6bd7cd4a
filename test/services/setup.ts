/**
 * Vitest's global setup: asks every service that the environment names for its version, once, before any test file
 * runs. A service that is named and does not answer stops the run: it is never taken for one that is absent.
 */
import { KINDS, type KindFacts, serversOf } from './kinds.ts'
import { UNKNOWN_VERSION, probe } from './wire.ts'

async function check(facts: KindFacts): Promise<void> {
  const value = process.env[facts.env] ?? ''
  const servers = serversOf(value)
  if (servers.length === 0) return
  try {
    const labels = await Promise.all(servers.map((server) => probe(facts.kind, server)))
    const known = process.env[facts.versionEnv] ?? ''
    // The starter may know a version that the server does not tell.
    const isBetter = known !== '' && (labels[0] ?? '').includes(UNKNOWN_VERSION)
    if (!isBetter) process.env[facts.versionEnv] = [...new Set(labels)].join(', ')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${facts.env}=${value} is set, and the server did not answer: ${reason}`, { cause: error })
  }
}

/** Sets `KEEPFRESH_…_VERSION` for the test processes, which inherit this one's environment. */
export async function setup(): Promise<void> {
  await Promise.all(KINDS.map(check))
}
