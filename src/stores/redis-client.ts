/**
 * What the store needs of a Redis client, and what the clients are that it takes: structurally, so that nobody needs the types of a
 * library that is not installed.
 */

import type { RedisServer } from './redis-links.ts'

/** A client of the `redis` package (version 5 or later), or a pool of them. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(args: readonly (string | Uint8Array)[], options?: object): Promise<unknown>
  withTypeMapping(mapping: object): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
}

/** A cluster client of the `redis` package (version 5 or later). */
export interface NodeRedisCluster {
  readonly isOpen: boolean
  readonly masters: readonly object[]
  nodeClient(node: object): unknown
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: readonly (string | Uint8Array)[],
    options?: object,
  ): Promise<unknown>
  withTypeMapping(mapping: object): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
}

/** A sentinel client of the `redis` package (version 5 or later). */
export interface NodeRedisSentinel {
  readonly isOpen: boolean
  getMasterNode(): unknown
  sendCommand(
    isReadonly: boolean | undefined,
    args: readonly (string | Uint8Array)[],
    options?: object,
  ): Promise<unknown>
  withTypeMapping(mapping: object): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
}

/** `Redis` or `Cluster` of the `ioredis` package (version 5 or later). */
export interface Ioredis {
  readonly status: string
  callBuffer(command: string, ...args: (string | number | Uint8Array)[]): Promise<unknown>
  connect(): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
}

/** A client that the store takes, and does not close. */
export type RedisClientLike = NodeRedisClient | NodeRedisCluster | NodeRedisSentinel | Ioredis

/** A command and its arguments, its name in capitals. Bytes are Buffers, which the clients insist on. */
export type RedisCommand = (string | Uint8Array)[]

/** `absent`: nobody has connected it, or it was closed. `waiting`: it is connecting, or connecting again. */
export type ClientState = 'ready' | 'waiting' | 'absent'

/** A client as the store uses it; strings of the server arrive as Buffers. */
export interface RedisClient {
  readonly state: ClientState
  /** Keys are on several servers: one command cannot name any two of them. */
  readonly spread: boolean
  /** What the client puts before keys by itself. */
  readonly keyPrefix: string
  /** Sends a command to the server that has `key`. */
  send(key: string, command: RedisCommand): Promise<unknown>
  /** For each server that has keys, what sends it a command. */
  primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]>
  /** Each server that has keys, as far as the client knows by now, to hear from. */
  servers(): Promise<readonly RedisServer[]>
  on(event: string, listener: (...args: unknown[]) => void): void
  off(event: string, listener: (...args: unknown[]) => void): void
  /** Connects where the client does that by itself when it is first used. */
  wake(): void
}
