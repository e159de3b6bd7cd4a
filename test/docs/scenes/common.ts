/** What examples take for granted: the reader's own types, database and log, in a form that runs. */

export interface User {
  readonly id: number
  readonly name: string
}

/** A database with a user for every id. */
export const db = {
  findUser: async (id: number, _options?: { signal?: AbortSignal }): Promise<User> => ({ id, name: `user ${id}` }),
  findUsers: async (ids: readonly number[]): Promise<User[]> => ids.map((id) => ({ id, name: `user ${id}` })),
  query: async (_sql: string, [ids]: readonly unknown[]): Promise<User[]> =>
    [ids].flat().map((id) => ({ id: Number(id), name: `user ${id}` })),
  update: async (_id: number, _change: object): Promise<void> => undefined,
}

export const loadUser = async (id: number): Promise<User> => ({ id, name: `user ${id}` })

export const log = {
  info: (..._facts: unknown[]): void => undefined,
  warn: (..._facts: unknown[]): void => undefined,
  error: (..._facts: unknown[]): void => undefined,
}
