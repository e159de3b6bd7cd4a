import { raceLarge } from '../lib/large-race.ts'
import type { Scenario } from '../lib/types.ts'

const LIMIT =
  'An SQLite value holds at most 1,000,000,000 bytes: a store that keeps a body in one value cannot keep this one.'

export const scenario: Scenario = {
  title: 'Large body',
  about:
    'One body is read as a stream, chunk by chunk, and thrown away by the reader. Every line is a process of its own; the memory is its peak resident set, Node itself included. What keeps files or a database is closed after the miss and read by another process; what keeps entries in memory has both reads in one.',
  async run(context) {
    const report = await raceLarge(context, ['memory', 'sqlite', 'file'], { sqlite: 'SQLite', file: 'files' })
    return { ...report, notes: context.size >= 1e9 ? [LIMIT] : [] }
  },
}
