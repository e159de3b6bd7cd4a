import { afterEach, describe, expect, it } from 'vitest'
import type { RedisConnection } from './redis-connection.ts'
import { RedisKeys } from './redis-keys.ts'
import type { RedisLink, RedisServer } from './redis-links.ts'
import { RedisTracking } from './redis-tracking.ts'

/** A primary that tells what the test has it tell. */
class Primary implements RedisServer {
  readonly id: string
  readonly commands: string[] = []
  refuses: string | null = null
  answers = true
  tell: (message: unknown) => void = () => undefined
  lose: () => void = () => undefined
  open = 0
  constructor(id: string) {
    this.id = id
  }
  link(): RedisLink {
    return {
      connect: async () => void this.open++,
      command: async (...args) => {
        this.commands.push(args.join(' '))
        if (!this.answers) await new Promise(() => undefined)
        if (this.refuses !== null && args[0] === 'CLIENT') throw new Error(this.refuses)
        return 7
      },
      subscribe: async (_, heard) => void (this.tell = heard),
      whenLost: (lost) => void (this.lose = lost),
      end: () => void this.open--,
    }
  }
}

describe('B8: Redis tells, of every primary', () => {
  const endings: (() => void)[] = []
  afterEach(() => {
    for (const end of endings.splice(0)) end()
  })

  const setup = (
    primaries: Primary[],
  ): { tracking: RedisTracking; states: boolean[]; changes: (readonly string[] | null)[] } => {
    const connection: Pick<RedisConnection, 'servers' | 'keyPrefix'> = {
      keyPrefix: 'app:',
      servers: async () => [...primaries],
    }
    const tracking = new RedisTracking(connection, new RedisKeys('ns', 'app:'), async () => true)
    endings.push(() => tracking.close())
    const states: boolean[] = []
    const changes: (readonly string[] | null)[] = []
    tracking.subscribe({
      changed: (names) => void changes.push(names),
      connected: (isConnected) => void states.push(isConnected),
    })
    return { tracking, states, changes }
  }
  const soon = { timeout: 15_000 }

  it('is up when all of them are heard, each redirected to itself, for the prefix of entries alone', async () => {
    const all = [new Primary('a'), new Primary('b')]
    const { states, changes, tracking } = setup(all)
    await expect.poll(() => states).toEqual([true])
    const [{ commands }] = all as [Primary]
    expect(commands).toEqual(['CLIENT ID', 'CLIENT TRACKING ON REDIRECT 7 BCAST PREFIX app:ns:e:{'])
    expect(tracking.nameOf('k')).toMatch(/^app:ns:e:\{[\w-]{43}\}$/)
    all[1]?.tell([Buffer.from('app:ns:e:{x}'), 'y'])
    all[0]?.tell(null)
    all[0]?.tell('what is that')
    expect(changes).toEqual([['app:ns:e:{x}', 'y'], null, null])
    tracking.close()
    expect(all.map(({ open }) => open)).toEqual([0, 0])
    all[0]?.tell(null)
    expect(changes.length).toBe(3)
  })

  it('a primary more: down until it is heard; one less: not listened to any more', async () => {
    const [a, b] = [new Primary('a'), new Primary('b')]
    const primaries = [a]
    const { states } = setup(primaries)
    await expect.poll(() => states).toEqual([true])
    primaries.push(b)
    await expect.poll(() => states, soon).toEqual([true, false, true])
    primaries.shift()
    await expect.poll(() => [a.open, b.open], soon).toEqual([0, 1])
    await expect.poll(() => states.at(-1)).toBe(true)
  })

  it('one that is lost: down at once, and heard again by another connection', async () => {
    const primary = new Primary('a')
    const { states } = setup([primary, new Primary('b')])
    await expect.poll(() => states).toEqual([true])
    primary.lose()
    expect(states).toEqual([true, false])
    await expect.poll(() => states, soon).toEqual([true, false, true])
    expect(primary.commands.length).toBe(4)
  })

  it('a refusal is told by publish, and over when it is', async () => {
    const primary = new Primary('a')
    primary.refuses = "NOPERM this user has no permissions to run the 'client|tracking' command"
    const { states, tracking } = setup([primary])
    const published = (): Promise<unknown> =>
      tracking.publish().then(
        () => 'done',
        (error: unknown) => error,
      )
    await expect.poll(published).toMatchObject({ code: 'ERR_STORE_OPEN' })
    primary.refuses = null
    await expect.poll(() => states, soon).toEqual([true])
    expect(await published()).toBe('done')
    expect(primary.open).toBe(1)
  })
})
