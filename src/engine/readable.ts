/** A reply is made only of what can be read: a body that is not at hand is opened, and its first bytes read, before it is handed out (RELIABILITY 41). */
import { StoreError } from '../errors.ts'
import type { StoredReply } from './reply.ts'
import { StoredReplyBody } from './reply.ts'
import type { StoreGuard } from './store-guard.ts'

/** Whether the body of a stored reply can be read; false: the store's failure has been reported, and the entry is gone where it is damaged. */
export async function isReadable(reply: StoredReply, guard: StoreGuard): Promise<boolean> {
  const { body } = reply
  if (body === null || body.bytes !== null || !(body instanceof StoredReplyBody)) return true
  const { key } = reply.entry
  const probe = body.probe()
  try {
    await guard.soon(probe)
    return true
  } catch (error) {
    guard.report('read', key, error)
    // A store that is late has lost nothing; what it opens in the end is closed.
    if (error instanceof StoreError && error.code === 'ERR_STORE_TIMEOUT')
      probe.then(() => body.leave()).catch(() => undefined)
    else await guard.delete([key])
    return false
  }
}

/** As `isReadable`, of a reply that nobody gets: what was opened is closed. */
export async function couldBeRead(reply: StoredReply, guard: StoreGuard): Promise<boolean> {
  const could = await isReadable(reply, guard)
  reply.body?.leave(undefined)
  return could
}

/** What is done where a body breaks after its first bytes were handed out. */
export function bodyFailure(guard: StoreGuard, key: string): (error: unknown) => void {
  return (error) => {
    guard.report('read', key, error)
    void guard.delete([key])
  }
}
