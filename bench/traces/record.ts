/**
 * How the recorded traces were made; README.md beside this file has the commands. What is written are numbers, in the order the keys were
 * first met, one a line: no name, path or word of the recording.
 *
 *     node bench/traces/record.ts paths FILE      what `strace -f -y -e trace=%file` wrote
 *     node bench/traces/record.ts planes FILE     flights.csv of nycflights13
 *     node bench/traces/record.ts packages FILE   a package-lock.json
 *     node bench/traces/record.ts words FILE...   texts, in this order
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { requestsOf } from './trace.ts'

type Reader = (files: readonly string[]) => Iterable<string>

const READERS: Readonly<Record<string, Reader>> = { paths, planes, packages, words }

/** The first path of each system call; one that names none (of an open file, say) is left out. */
function* paths(files: readonly string[]): Iterable<string> {
  for (const line of textOf(files).split('\n')) {
    const path = /"([^"]+)"/.exec(line)?.[1]
    if (path !== undefined) yield path
  }
}

function* planes(files: readonly string[]): Iterable<string> {
  const [header = '', ...rows] = textOf(files).split('\n')
  const columns = header.split(',')
  const [month, plane] = [columns.indexOf('month'), columns.indexOf('tailnum')]
  for (const row of rows) {
    const cells = row.split(',')
    const tail = cells[plane] ?? 'NA'
    if (Number(cells[month]) <= 3 && tail !== 'NA') yield tail
  }
}

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Depth first; a package is entered as often as it is depended on, save within itself. */
function* packages(files: readonly string[]): Iterable<string> {
  const { packages: locked } = JSON.parse(textOf(files)) as { packages: Readonly<Record<string, Locked>> }
  function* walk(from: string, above: readonly string[]): Iterable<string> {
    const { dependencies, devDependencies, optionalDependencies } = locked[from] ?? {}
    const wanted = { ...dependencies, ...(from === '' ? devDependencies : {}), ...optionalDependencies }
    for (const name of Object.keys(wanted)) {
      const place = placeOf(name, from, (path) => path in locked)
      if (place === null || above.includes(place)) continue
      yield place
      yield* walk(place, [...above, place])
    }
  }
  yield* walk('', [])
}

/** Where Node finds a package that `from` asks for. */
function placeOf(name: string, from: string, exists: (path: string) => boolean): string | null {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`
    if (exists(path)) return path
    if (folder === '') return null
  }
}

function* words(files: readonly string[]): Iterable<string> {
  for (const [word] of textOf(files).matchAll(/[A-Za-z]{2,}/g)) yield word
}

function textOf(files: readonly string[]): string {
  return files.map((file) => readFileSync(file, 'utf8')).join('\n')
}

const [kind = '', ...files] = process.argv.slice(2)
const read = READERS[kind]
if (read === undefined || files.length === 0)
  throw new Error(`usage: record.ts ${Object.keys(READERS).join('|')} FILE...`)
const { ids, footprint } = requestsOf(read(files))
writeFileSync(new URL(`${kind}.txt.gz`, import.meta.url), gzipSync(`${ids.join('\n')}\n`, { level: 9 }))
console.log(`${kind}: ${ids.length} requests for ${footprint} keys`)
