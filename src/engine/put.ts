/** Storing a response that is given by hand (feature I4), by the rules of one from the origin. */
import type { Outcome, ResponseMeta } from '../policy/decision.ts'
import type { Exchange } from './exchange.ts'
import type { FillTools } from './fill.ts'
import type { Received } from './keeper.ts'
import { isOvertaken } from './tags.ts'

export type PutTools = Pick<FillTools, 'fences' | 'guard' | 'keeper'>

/** False: the rules refuse it, it could not be written, or what it is about was invalidated meanwhile. */
export async function put(
  { fences, guard, keeper }: PutTools,
  settle: (x: Exchange, stored: ResponseMeta | null, received: Received) => Outcome,
  x: Exchange,
  given: Omit<Received, 'epoch' | 'order'>,
  body: () => Promise<Uint8Array>,
): Promise<boolean> {
  const { key } = x
  if (key === null) return false
  const epoch = fences.enter()
  const order = fences.next()
  try {
    const bytes = await body()
    const received = { ...given, epoch, order }
    const outcome = settle(x, null, received)
    // Parts are for who asks for parts.
    if (outcome.kind !== 'store' || outcome.part !== null) return false
    const draft = await keeper.draft(x, key, outcome, received)
    const overtook = (): boolean => isOvertaken(fences, epoch, key, draft.head.meta)
    if (overtook() || !(await guard.write(draft.head, bytes))) return false
    await keeper.index(draft)
    fences.wrote(draft.head.key, order)
    if (!overtook()) return true
    await guard.delete([draft.head.key])
    return false
  } finally {
    fences.leave()
  }
}
