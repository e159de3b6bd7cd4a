import { memoize, type Memoized } from 'keepfresh/memo'
import { loadUser, type User } from './common.ts'

export interface Report {
  readonly city: string
  /** Seconds. */
  readonly validFor: number
}

export const forecasts = {
  of: async (city: string): Promise<Report> => ({ city, validFor: 600 }),
}

/** A language model. */
export const model = {
  async *stream(prompt: string): AsyncGenerator<string> {
    yield* `an answer to ${prompt}\n`.split(/(?<= )/)
  },
}

export interface Client {
  readonly tenant: string
  search(term: string): Promise<string[]>
}

export const getUser: Memoized<(id: number) => Promise<User>> = memoize(loadUser)
