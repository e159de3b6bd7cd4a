import express, { type Express } from 'express'
import { AsyncCache, memoize, type Memoized } from 'keepfresh/memo'
import { loadUser, type User } from './common.ts'

export interface Change {
  readonly price: number
}

export interface Message {
  readonly role: string
  readonly content: string
}

interface Completion {
  readonly text: string
  readonly finishReason: string
}

export const ids: readonly number[] = [1, 2, 3]

export const users: AsyncCache<number, User> = new AsyncCache<number, User>()

/** A language model's client. */
export const client = {
  chat: async (_request: object, _options: { readonly signal: AbortSignal | undefined }): Promise<Completion> => ({
    text: 'Hello.',
    finishReason: 'stop',
  }),
  stream: async (
    _request: object,
    _options: { readonly signal: AbortSignal | undefined },
  ): Promise<AsyncIterable<string>> =>
    (async function* () {
      yield* ['Hel', 'lo.']
    })(),
}

export const getProduct: Memoized<(id: number) => Promise<object>> = memoize(async (id: number) => ({ id }))

export class RateLimited extends Error {
  /** Seconds. */
  readonly retryAfter = 30
}

export const api = { rates: async (base: string): Promise<object> => ({ base, EUR: 0.9 }) }

export const auth = {
  token: async (scope: string): Promise<{ token: string; expiresIn: number }> => ({ token: scope, expiresIn: 3600 }),
}

export const app: Express = express()

export const render = async (id: number, _options: { readonly signal: AbortSignal | undefined }): Promise<string> =>
  `report ${id}`

export const getReport: Memoized<(id: number) => Promise<string>> = memoize(async (id: number) => `report ${id}`)

export const load = loadUser
