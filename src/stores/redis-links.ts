/**
 * Connections of our own beside a client, to hear from one server what changes there: copies of the client, with its credentials.
 *
 * 1. They speak RESP2, which every server and both libraries have, and never connect again by themselves: one that ended is replaced.
 * 2. No `error` event is without a listener, and none of them keeps the process alive.
 */
import { StateError } from '../errors.ts'

/** One connection that hears. */
export interface RedisLink {
  connect(): Promise<unknown>
  command(...args: string[]): Promise<unknown>
  /** From now on it takes no commands but PING. */
  subscribe(channel: string, heard: (message: unknown) => void): Promise<unknown>
  /** Calls `lost` when the connection ends, whyever. */
  whenLost(lost: () => void): void
  end(): void
}

/** A server, and how to hear from it. */
export interface RedisServer {
  /** Tells it apart from the others. */
  readonly id: string
  /** @throws StateError ERR_NOT_SUPPORTED where the client cannot be copied */
  link(): RedisLink
}

type Listener = (...args: unknown[]) => void

/** A client of `redis`, as it is used here. */
export interface NodeCopy {
  readonly isOpen: boolean
  connect(): Promise<unknown>
  sendCommand(args: readonly string[]): Promise<unknown>
  subscribe(channel: string, listener: (message: unknown) => void, bytes: true): Promise<unknown>
  on(event: string, listener: Listener): unknown
  destroy(): unknown
  unref(): unknown
}

/** Over a client of `redis`. */
export function nodeLink(client: object): RedisLink {
  return linkOf(copyOf<NodeCopy>(client, { ...PLAIN, socket: { ...socketOf(client), ...ONCE } }))
}

/** Options of a socket that is not opened again by itself. */
export const ONCE = { reconnectStrategy: false } as const

/** Options of a client of `redis` without RESP3, and what there is with it only. */
export const PLAIN = {
  RESP: 2,
  maintNotifications: 'disabled',
  clientSideCache: undefined,
  emitInvalidate: undefined,
  disableOfflineQueue: true,
} as const

/** Over a client of `redis` that is ours alone. */
export function linkOf(made: NodeCopy): RedisLink {
  made.on('error', () => undefined)
  made.unref()
  return {
    connect: () => made.connect(),
    command: (...args) => made.sendCommand(args),
    subscribe: (channel, heard) => made.subscribe(channel, heard, true),
    whenLost: (lost) => {
      for (const event of ['error', 'end']) made.on(event, lost)
    },
    end: () => {
      if (made.isOpen) void made.destroy()
    },
  }
}

interface IoredisCopy {
  readonly stream?: { unref?(): unknown }
  connect(): Promise<unknown>
  call(command: string, ...args: string[]): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  on(event: string, listener: Listener): unknown
  disconnect(): unknown
}

/** Over a client of ioredis. */
export function ioredisLink(client: object): RedisLink {
  const never = (): null => null
  const made = copyOf<IoredisCopy>(client, {
    lazyConnect: true,
    autoResubscribe: false,
    retryStrategy: never,
    sentinelRetryStrategy: never,
    // It would stand before the name of the channel, too.
    keyPrefix: '',
  })
  made.on('error', () => undefined)
  made.on('connect', () => made.stream?.unref?.())
  return {
    connect: () => made.connect(),
    command: (name = '', ...args) => made.call(name, ...args),
    subscribe: (channel, heard) => {
      made.on('messageBuffer', (from, message) => {
        if (String(from) === channel) heard(message)
      })
      return made.subscribe(channel)
    },
    whenLost: (lost) => {
      for (const event of ['error', 'close', 'end']) made.on(event, lost)
    },
    end: () => void made.disconnect(),
  }
}

function copyOf<T extends object>(client: object & { duplicate?(changes: object): T }, changes: object): T {
  if (typeof client.duplicate === 'function') return client.duplicate(changes)
  throw notSupported('a pool of clients')
}

/** @param what the kind of client that cannot be copied */
export function notSupported(what: string): StateError {
  const message = `Changes cannot be tracked beside ${what}. Give the store its options instead of a client, or use redisCoherence.`
  return new StateError('ERR_NOT_SUPPORTED', message)
}

function socketOf(client: object & { readonly options?: { readonly socket?: object } }): object {
  return client.options?.socket ?? {}
}
