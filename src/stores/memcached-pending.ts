/**
 * Commands that wait for their replies; and gets of one turn as one command.
 *
 * Rule 1: a server answers a hundred commands with a hundred writes, and a hundred keys of one command with one. So gets that follow each
 *   other become one get of several keys; whoever asked is given their own value, by its key.
 * Rule 2: order stays: what comes between two gets still comes between them.
 */
import { retrieval, type Reply, type Request, type RetrievedValue } from './memcached-protocol.ts'

export interface Pending {
  readonly request: Request
  /** By the clock of the connection, in ms. */
  readonly deadline: number
  /** Takes the reply. */
  readonly settle: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

/** Keys of one command: none of its values is had before the last. */
const TOGETHER = 16
const NOTHING: readonly RetrievedValue[] = []

/** The same commands, or fewer that bring the same. */
export function together(pending: readonly Pending[]): readonly Pending[] {
  if (pending.length === 1) return pending
  const commands: Pending[] = []
  let gets = new Map<string, Pending>()
  const end = (): void => {
    if (gets.size > 0) commands.push(oneOf(gets))
    gets = new Map()
  }
  for (const command of pending) {
    const key = keyOfGet(command.request)
    // Who asks for a key twice is given two values: none shares its bytes with another.
    if (key === null || gets.size === TOGETHER || gets.has(key)) end()
    if (key === null) commands.push(command)
    else gets.set(key, command)
  }
  end()
  return commands
}

function keyOfGet({ text, keys }: Request): string | null {
  return keys.length === 1 && text.startsWith('get ') ? (keys[0] ?? null) : null
}

function oneOf(gets: Map<string, Pending>): Pending {
  const [first] = gets.values()
  if (gets.size === 1 && first !== undefined) return first
  return {
    request: retrieval('get', [...gets.keys()]),
    deadline: first?.deadline ?? 0,
    settle({ line, values }) {
      for (const value of values) {
        gets.get(value.key)?.settle({ line, values: [value] })
        gets.delete(value.key)
      }
      for (const { settle } of gets.values()) settle({ line, values: NOTHING })
    },
    reject(error) {
      for (const { reject } of gets.values()) reject(error)
    },
  }
}
