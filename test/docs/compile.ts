/**
 * Compiles every example as a user's module: one file each in `test/.docs`, from where 'keepfresh' is this package by
 * its own name and peers are what is installed. One compiler run; what it finds is told at the example's own line.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import type { Block } from './blocks.ts'
import { missingImports, type Supply, suppliedByImports, suppliedByModule } from './names.ts'

const ROOT: string = resolve(import.meta.dirname, '../..')
const WORK: string = join(ROOT, 'test/.docs')
const SCENES: string = join(import.meta.dirname, 'scenes')

/** What is wrong with an example that goes on from one that does not compile. */
const FROM_ABOVE = 'goes on from an example that does not compile'

/** One part of a module: the lines from `at` on are those of `block`. */
interface Part {
  readonly block: Block
  readonly at: number
}

/** An example as a module. */
export interface Module {
  readonly block: Block
  readonly name: string
  /** What to run, once it is compiled. */
  readonly script: string
  readonly parts: readonly Part[]
  /** What the compiler said of it, with places in the documentation. */
  readonly errors: string[]
}

/** What the compiler found: by module, and elsewhere (in scenes, or in its own options). */
export interface Compiled {
  readonly modules: readonly Module[]
  readonly otherErrors: readonly string[]
}

/** What an editor of users has switched on, and the compiler must emit: examples use decorators. */
const TSCONFIG = {
  compilerOptions: {
    target: 'ES2024',
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    lib: ['ES2024', 'ESNext.Disposable', 'ESNext.Iterator', 'ESNext.Array'],
    types: ['node'],
    strict: true,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    sourceMap: true,
    rootDir: '..',
    outDir: 'out',
  },
}

function sceneOf(file: string): Supply {
  const path = join(SCENES, `${file.replace(/\.\w+$/, '').replaceAll('/', '-')}.ts`)
  if (!existsSync(path)) return new Map()
  return suppliedByModule(readFileSync(path, 'utf8'), relative(WORK, path).replaceAll('\\', '/'))
}

/** Runtime names of the package's public doors, as imports; TSDoc shows them without. */
async function publicNames(): Promise<Supply> {
  const supply = new Map<string, string>()
  const { name, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    name: string
    exports: Record<string, unknown>
  }
  for (const door of Object.keys(exports).filter((each) => !each.endsWith('.json'))) {
    const specifier = name + door.slice(1)
    const names = Object.keys((await import(specifier)) as object)
    for (const each of names) if (!supply.has(each)) supply.set(each, `import { ${each} } from '${specifier}'`)
  }
  return supply
}

function chainOf(block: Block): Block[] {
  return block.continues === null ? [block] : [...chainOf(block.continues), block]
}

function writeModule(block: Block, index: number, supplies: readonly Supply[]): Module {
  const chain = chainOf(block)
  const code = chain.map((each) => each.code).join('\n')
  // All in the first line, so that every line of code keeps its distance.
  const head = [...missingImports(code, supplies), 'export {}'].join('; ')
  const name = `example-${String(index).padStart(3, '0')}`
  writeFileSync(join(WORK, `${name}.ts`), `${head}\n${code}\n`)
  let at = 2
  const parts = chain.map((each) => {
    const part = { block: each, at }
    at += each.code.split('\n').length
    return part
  })
  return { block, name, script: join(WORK, 'out/.docs', `${name}.js`), parts, errors: [] }
}

async function writeModules(blocks: readonly Block[]): Promise<Module[]> {
  rmSync(WORK, { recursive: true, force: true })
  mkdirSync(WORK, { recursive: true })
  writeFileSync(join(WORK, '.gitignore'), '*\n')
  const everywhere = [sceneOf('common'), await publicNames()]
  const pages = new Map<string, Map<string, string>>()
  return blocks.map((block, index) => {
    const above = pages.get(block.file) ?? new Map<string, string>()
    pages.set(block.file, above)
    const isPage = block.file.endsWith('.md')
    const [common = new Map(), names = new Map()] = everywhere
    const module = writeModule(block, index, [above, sceneOf(block.file), common, ...(isPage ? [] : [names])])
    for (const [name, statement] of suppliedByImports(block.code)) above.set(name, statement)
    return module
  })
}

/** `file:line` in the documentation of a line of a module. */
function placeOf(module: Module, line: number): { readonly text: string; readonly isOwn: boolean } {
  const part = module.parts.findLast(({ at }) => at <= line)
  if (part === undefined) return { text: `${module.block.file}:${module.block.line} (its imports)`, isOwn: true }
  return { text: `${part.block.file}:${part.block.line + line - part.at}`, isOwn: part.block === module.block }
}

/** Replaces places in modules by places in the documentation. */
export function inDocumentation(modules: readonly Module[], text: string): string {
  return text.replace(
    /(?:file:\/\/)?[^\s(]*\b(?<name>example-\d+)\.(?:ts|js):(?<line>\d+)(?::\d+)?/g,
    (whole, ...rest) => {
      const { name, line } = rest.at(-1) as { name: string; line: string }
      const module = modules.find((each) => each.name === name)
      return module === undefined ? whole : placeOf(module, Number(line)).text
    },
  )
}

/** Runs the compiler over these modules, notes in each what is wrong with it, and answers what belongs to none. */
function runCompiler(modules: readonly Module[]): string[] {
  const files = modules.map(({ name }) => `${name}.ts`)
  writeFileSync(join(WORK, 'tsconfig.json'), JSON.stringify({ ...TSCONFIG, files }))
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const args = [compiler, '-p', join(WORK, 'tsconfig.json'), '--pretty', 'false']
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: WORK, encoding: 'utf8' })
  const messages = `${stdout}${stderr}`.split(/\n(?=\S)/).filter((each) => each.trim() !== '')
  if (status !== 0 && messages.length === 0) return [`the compiler ended with ${status} and said nothing`]
  return messages.flatMap((message) => {
    const found = /^(?<name>example-\d+)\.ts\((?<line>\d+),\d+\): (?<said>.*)$/s.exec(message.trim())?.groups
    const module = modules.find(({ name }) => name === found?.['name'])
    if (found === undefined || module === undefined) return [message.trim()]
    const place = placeOf(module, Number(found['line']))
    module.errors.push(place.isOwn ? `${place.text}: ${found['said'] ?? ''}` : FROM_ABOVE)
    return []
  })
}

const isSound = ({ errors }: Module): boolean => errors.length === 0

/** Writes and compiles all examples. */
export async function compile(blocks: readonly Block[]): Promise<Compiled> {
  const modules = await writeModules(blocks)
  const otherErrors = runCompiler(modules)
  // The compiler looks at no types while there is a syntax error anywhere.
  const hasSyntaxErrors = modules.some(({ errors }) => errors.some((each) => / error TS1\d{3}: /.test(each)))
  if (hasSyntaxErrors) otherErrors.push(...runCompiler(modules.filter(isSound)))
  return { modules, otherErrors }
}

/** Removes what `compile` wrote. */
export function removeModules(): void {
  rmSync(WORK, { recursive: true, force: true })
}
