/** The time of this machine. */
import type { Clock } from '../engine/ports.ts'

export const SYSTEM_CLOCK: Clock = { now: () => Date.now() }
