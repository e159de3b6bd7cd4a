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
