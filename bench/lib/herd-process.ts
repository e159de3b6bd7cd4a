/** One process of a herd that several make up: sets its client up, says so, and asks when it is told the URL. */
import { messageOf } from './attempt.ts'
import type { Client, Contender, StoreKind } from './types.ts'

export interface HerdOrder {
  /** URL of the contender's module. */
  readonly module: string
  readonly store: StoreKind
  readonly dir: string
  readonly server: string
  readonly origin: string
  readonly callers: number
}

/** What the process is told: what to ask for, or that the herds are over. */
export type HerdCall = { readonly url: string; readonly bytes: number } | 'end'

/** ms until its last caller has its body. */
export interface HerdAnswer {
  readonly ms: number
}

const { module, store, dir, server, origin, callers } = JSON.parse(process.argv[2] ?? '') as HerdOrder
const say = (answer: HerdAnswer | 'ready' | { failure: string }): void => void process.send?.(answer)

async function herd(client: Client, { url, bytes }: Exclude<HerdCall, 'end'>): Promise<HerdAnswer> {
  const started = performance.now()
  const bodies = await Promise.all(Array.from({ length: callers }, () => client.text(url)))
  if (bodies.some((body) => body.length !== bytes)) throw new Error('a caller got another body')
  return { ms: performance.now() - started }
}

const failed = (error: unknown): void => say({ failure: messageOf(error) })
process.on('uncaughtException', failed)
try {
  const { contender } = (await import(module)) as { contender: Contender }
  const client = await contender.setup(origin, { store, dir, server })
  process.on('message', (call: HerdCall) => {
    if (call === 'end') void client.close().finally(() => process.exit(0))
    else herd(client, call).then(say, failed)
  })
  say('ready')
} catch (error) {
  failed(error)
}
