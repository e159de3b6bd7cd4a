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

export interface Client {
  readonly tenant: string
  search(term: string): Promise<string[]>
}

export const getUser: Memoized<(id: number) => Promise<User>> = memoize(loadUser)
