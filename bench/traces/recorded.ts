/** Recorded traces: what each is, and where it comes from, is in README.md beside this file. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { always, type Trace } from './trace.ts'

export const recorded: readonly Trace[] = [
  {
    name: 'paths',
    about: 'paths that the checks of this project looked up in the file system: tests, type checks, lint, npm, git',
    requests: shipped('paths.txt.gz'),
  },
  {
    name: 'planes',
    about: 'the aircraft of every departure from New York City, January to March 2013, in order of departure',
    requests: shipped('planes.txt.gz'),
  },
  {
    name: 'packages',
    about: 'npm packages met when the tree of dependencies of this project is walked without remembering',
    requests: shipped('packages.txt.gz'),
  },
  {
    name: 'words',
    about: 'the words of the source files of this project, in order',
    requests: shipped('words.txt.gz'),
  },
]

/** A trace of one's own: a file with one key a line, compressed or not. */
export function traceFile(path: string): Trace {
  return {
    name: path.split('/').at(-1) ?? path,
    about: `one key a line of ${path}`,
    requests: always(() => lines(path)),
  }
}

function shipped(file: string): Trace['requests'] {
  return always(() => lines(new URL(file, import.meta.url)))
}

function lines(file: string | URL): string[] {
  const bytes = readFileSync(file)
  const text = (String(file).endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  return text.split('\n').filter((line) => line !== '')
}
