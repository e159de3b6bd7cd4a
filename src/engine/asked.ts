/** One exchange with the origin: who asked for what, and what came. */
import type { Exchange } from './exchange.ts'
import type { Catch } from './fill.ts'
import type { Received } from './keeper.ts'
import type { Found } from './lookup.ts'
import type { AskingPlan } from './passing.ts'
import type { OriginResponse } from './ports.ts'
import type { Flight } from './single-flight.ts'

export interface Asked {
  readonly x: Exchange
  readonly key: string
  readonly found: Found
  readonly plan: AskingPlan
  readonly flight: Flight<Catch> | null
  /** Aborted when nobody is left who wants the answer (departure.ts); null: nobody can leave. */
  readonly signal: AbortSignal | null
  readonly response: OriginResponse
  readonly received: Received
}
