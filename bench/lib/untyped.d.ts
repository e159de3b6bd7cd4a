// Packages without types of their own, or whose published types are of another version: as much as is used of them.
declare module 'apicache' {
  import type { RequestHandler } from 'express'
  const apicache: { middleware(duration: string): RequestHandler }
  export default apicache
}

declare module 'koa-cash' {
  import type { Middleware } from 'koa'
  export default function koaCash(options: {
    get(key: string): Promise<unknown>
    set(key: string, value: unknown): Promise<void>
  }): Middleware
}

declare module 'memjs' {
  interface Client {
    get(key: string): Promise<{ value: Uint8Array | null }>
    set(key: string, value: Uint8Array, options: { expires: number }): Promise<boolean>
    quit(): void
  }
  const memjs: { Client: { create(servers: string): Client } }
  export default memjs
}

declare module 'memcached' {
  type Callback<T> = (error: Error | null, value: T) => void
  export default class Memcached {
    constructor(servers: readonly string[])
    get(key: string, done: Callback<Uint8Array | undefined>): void
    set(key: string, value: Uint8Array, seconds: number, done: Callback<boolean>): void
    end(): void
  }
}
