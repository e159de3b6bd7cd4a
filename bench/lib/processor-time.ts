/** Processor time of other processes, as Linux tells it: what a busy machine does to requests a second, it does not do to this. */
import { readFileSync } from 'node:fs'

/** Clock ticks are hundredths of a second wherever Linux runs Node. */
const MS_A_TICK = 10

/** ms that a process and its children have used so far; NaN where the system does not tell. */
export function processorTime(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return Number.NaN
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the program's name, which may have spaces in it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = (Number(fields[11]) + Number(fields[12])) * MS_A_TICK
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return children.filter((child) => child !== '').reduce((sum, child) => sum + processorTime(Number(child)), own)
}
