import { SqliteStore } from 'keepfresh/sqlite'
import { closeSync, copyFileSync, fsyncSync, openSync } from 'node:fs'
import { watched } from '../lib/blocks.ts'
import { fillKeepfresh, fillRaw, inAnHour, type Expiry } from '../lib/fill.ts'
import { openRawTable } from '../lib/raw-table.ts'
import { digits, median, times } from '../lib/stats.ts'
import type { Cell, Scenario, Target } from '../lib/types.ts'

const RAW = 'floor: one DELETE'
const OURS = 'keepfresh: deleteWhere'

interface Deletion {
  readonly ms: number
  /** The longest time, ms, in which the event loop did nothing else. */
  readonly block: number
  /** The most processor time, ms, between two turns of the event loop. */
  readonly cpu: number
}

interface Subject {
  readonly label: string
  readonly file: string
  /** Deletes what has expired from a copy of the file; how many. */
  remove(copy: string): Promise<{ close(): void; run(): Promise<number> }>
}

export const scenario: Scenario = {
  title: 'Deleting what has expired',
  about:
    'Every second entry (1 KB of text) has expired. Each round works on a fresh copy of the filled file. A block is the longest gap between two turns of the event loop in a round: the median over the rounds, and the worst.',
  async run(context) {
    const sizes = context.entries ?? (context.quick ? [1e3, 1e4] : [1e3, 1e5])
    const rows: Cell[][] = []
    const targets: Target[] = []
    for (const entries of sizes) {
      context.log(`  ${entries} entries: filling`)
      const dir = context.tmp()
      const subjects = [rawSubject(`${dir}/raw.db`), ourSubject(`${dir}/keepfresh.db`)]
      const now = Date.now()
      const expiry: Expiry = (i) => (i % 2 === 0 ? now - 1 - i : inAnHour(i))
      fillRaw(`${dir}/raw.db`, entries, expiry)
      await fillKeepfresh(`${dir}/keepfresh.db`, entries, expiry)
      context.log(`  ${entries} entries: deleting`)
      const results = await raceDeletions(subjects, entries, context.quick ? 3 : 5, dir)
      rows.push(...tableRows(entries, results))
      if (entries === sizes.at(-1)) targets.push(...goals(entries, results))
    }
    const columns = [
      'entries',
      'who',
      'ms',
      'of one DELETE',
      'longest block, ms',
      'worst round, ms',
      'its processor time, ms',
    ]
    return { tables: [{ title: 'Half of the entries', columns, rows }], targets, notes: [] }
  },
}

function rawSubject(file: string): Subject {
  return {
    label: RAW,
    file,
    remove: async (copy) => {
      const table = openRawTable(copy)
      return { run: async () => table.deleteExpired(Date.now()), close: () => table.close() }
    },
  }
}

function ourSubject(file: string): Subject {
  return {
    label: OURS,
    file,
    remove: async (copy) => {
      const store = new SqliteStore({ path: copy, strict: true })
      return { run: () => store.deleteWhere({ expiredAt: Date.now() }), close: () => store.close() }
    },
  }
}

async function raceDeletions(
  subjects: readonly Subject[],
  entries: number,
  rounds: number,
  dir: string,
): Promise<Map<string, Deletion[]>> {
  const results = new Map<string, Deletion[]>(subjects.map(({ label }) => [label, []]))
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < subjects.length; i++) {
      const subject = subjects[(i + round) % subjects.length]
      if (subject === undefined) continue
      const copy = `${dir}/copy-${round}-${i}.db`
      copyFlushed(subject.file, copy)
      globalThis.gc?.()
      const { run, close } = await subject.remove(copy)
      const { ms, block, cpu, value: count } = await watched(run)
      close()
      if (count !== Math.ceil(entries / 2)) throw new Error(`${subject.label} deleted ${count} of ${entries}`)
      results.get(subject.label)?.push({ ms, block, cpu })
    }
  }
  return results
}

/** What the copy leaves to be written to the disk is not waited for by the next who flushes. */
function copyFlushed(from: string, to: string): void {
  copyFileSync(from, to)
  const file = openSync(to, 'r+')
  fsyncSync(file)
  closeSync(file)
}

function tableRows(entries: number, results: ReadonlyMap<string, readonly Deletion[]>): Cell[][] {
  return [...results].map(([label, rounds]) => [
    String(entries),
    label,
    digits(median(rounds.map(({ ms }) => ms))),
    times(ratioOf(results, label)),
    digits(median(rounds.map(({ block }) => block))),
    digits(Math.max(...rounds.map(({ block }) => block))),
    digits(Math.max(...rounds.map(({ cpu }) => cpu))),
  ])
}

function ratioOf(results: ReadonlyMap<string, readonly Deletion[]>, label: string): number {
  const raw = results.get(RAW) ?? []
  return median((results.get(label) ?? []).map(({ ms }, round) => ms / (raw[round]?.ms ?? Number.NaN)))
}

function goals(entries: number, results: ReadonlyMap<string, readonly Deletion[]>): Target[] {
  const blocks = (results.get(OURS) ?? []).map(({ block }) => block)
  return [
    {
      what: `half of ${entries} entries, of one DELETE`,
      sense: 'at most',
      limit: 1.2,
      got: ratioOf(results, OURS),
      unit: 'x',
    },
    {
      what: `half of ${entries} entries, longest block`,
      sense: 'at most',
      limit: 10,
      got: Math.max(...blocks),
      unit: ' ms',
    },
  ]
}
