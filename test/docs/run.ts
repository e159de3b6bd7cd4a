/**
 * Checks the documentation: every code example compiles, every one that can run runs, every link leads somewhere.
 *
 *   npm run docs                      all
 *   npm run docs -- docs/guide.md     only files whose path contains one of the words given
 *   npm run docs -- --keep            leaves the modules in test/.docs, to look at
 *
 * Examples that need a server run when the environment names one (docs/services.md) and are else skipped by name.
 * Each example counts once for compiling and once for running; each page counts once for its links.
 */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Block, markdownBlocks, tsdocBlocks } from './blocks.ts'
import { compile, inDocumentation, type Module, removeModules } from './compile.ts'
import { execute } from './execute.ts'
import { brokenLinks, missingFiles } from './links.ts'
import { startSite } from './origin.ts'

const ROOT: string = resolve(import.meta.dirname, '../..')
const PARALLEL = 2
const words: readonly string[] = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const tally = { passed: 0, failed: 0, skipped: 0 }

function filesOf(...patterns: readonly string[]): string[] {
  return globSync(patterns, { cwd: ROOT })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
    .toSorted()
}

function count(problems: readonly string[]): void {
  tally[problems.length === 0 ? 'passed' : 'failed'] += 1
  for (const problem of problems) console.log(`FAILED ${problem}`)
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

function blocksOf(pages: readonly string[], sources: readonly string[]): Block[] {
  return [
    ...pages.flatMap((file) => markdownBlocks(file, read(file))),
    ...sources.flatMap((file) => tsdocBlocks(file, read(file))),
  ]
}

/** Runs what compiled, a few at a time. */
async function runAll(modules: readonly Module[], site: string): Promise<void> {
  const waiting = modules.filter(({ block, errors }) => block.notRun === null && errors.length === 0)
  const worker = async (): Promise<void> => {
    for (let module = waiting.shift(); module !== undefined; module = waiting.shift()) {
      const { outcome, said } = await execute(module, site)
      tally[outcome] += 1
      const place = `${module.block.file}:${module.block.line}`
      if (outcome === 'failed') console.log(`FAILED ${place}: ${inDocumentation(modules, said).trim()}`)
      if (outcome === 'skipped') console.log(`skipped ${place}: ${said}`)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
}

const pages = filesOf('*.md', 'docs/**/*.md')
const sources = filesOf('src/**/*.ts').filter((path) => !path.endsWith('.test.ts'))
const blocks = blocksOf(pages, sources)
const { modules, otherErrors } = await compile(blocks)
for (const error of otherErrors) count([error])
for (const { errors } of modules) count(errors)
const site = await startSite()
await runAll(modules, site.url)
site.close()
for (const page of pages) count(brokenLinks(ROOT, page))
for (const page of pages.filter((path) => path === 'docs/features.md')) count(missingFiles(ROOT, page))
if (!process.argv.includes('--keep')) removeModules()
const notRun = blocks.filter((block) => block.notRun !== null)
for (const { file, line, notRun: reason } of notRun) console.log(`compiled, not run: ${file}:${line}: ${reason}`)
console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
process.exitCode = tally.failed === 0 ? 0 : 1
