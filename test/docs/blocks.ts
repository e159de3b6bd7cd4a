/**
 * Finds the code examples: ```ts blocks of Markdown pages, and `@example` blocks of TSDoc. Pure: text in, blocks out.
 *
 * What may stand behind ```ts (it is not shown):
 * - `no-run`: checked by the compiler only. A first line `// not run: <reason>` says the same, and why.
 * - `continues`: goes on from the block above it on the page; compiled and run behind it, as one module.
 *
 * What a line `console.log(...) // 'hit'` prints must be what stands behind it, where that is a literal.
 */

/** One code example. */
export interface Block {
  /** The file it stands in, relative to the project. */
  readonly file: string
  /** The line of its first line of code, from 1. */
  readonly line: number
  readonly code: string
  /** Why it is compiled and not run; null where it is run. */
  readonly notRun: string | null
  /** The block it goes on from. */
  readonly continues: Block | null
}

const MARKS = new Set(['no-run', 'continues'])

function notRunReason(code: string, marks: readonly string[]): string | null {
  const said = /^\s*\/\/ not run: (?<why>.+)/.exec(code)?.groups?.['why']
  return said ?? (marks.includes('no-run') ? 'marked no-run' : null)
}

/** The blocks of a Markdown page. @throws Error for a mark nobody knows, and for a block that is not closed. */
export function markdownBlocks(file: string, text: string): Block[] {
  const blocks: Block[] = []
  const lines = text.split(/\r?\n/)
  for (let at = 0; at < lines.length; at++) {
    const fence = /^(?<indent>\s*)(?<ticks>`{3,})(?<info>.*)$/.exec(lines[at] ?? '')?.groups
    if (fence === undefined) continue
    const end = lines.findIndex((line, index) => index > at && line.trim() === fence['ticks'])
    if (end < 0) throw new Error(`${file}:${at + 1}: a code block that is not closed`)
    const [language = '', ...marks] = (fence['info'] ?? '').trim().split(/\s+/)
    if (language === 'ts' || language === 'typescript') {
      const indent = fence['indent']?.length ?? 0
      const code = lines
        .slice(at + 1, end)
        .map((line) => line.slice(indent))
        .join('\n')
      blocks.push(blockOf(file, at + 2, code, marks, blocks.at(-1)))
    }
    at = end
  }
  return blocks
}

function blockOf(file: string, line: number, code: string, marks: readonly string[], above: Block | undefined): Block {
  const unknown = marks.find((mark) => !MARKS.has(mark))
  if (unknown !== undefined) throw new Error(`${file}:${line - 1}: no mark is called '${unknown}'`)
  const goesOn = marks.includes('continues')
  if (goesOn && above === undefined) throw new Error(`${file}:${line - 1}: nothing stands above it to go on from`)
  return { file, line, code, notRun: notRunReason(code, marks), continues: goesOn ? (above ?? null) : null }
}

/** The `@example` blocks of a TypeScript file's TSDoc comments; what is not fenced there is code, too. */
export function tsdocBlocks(file: string, text: string): Block[] {
  return [...text.matchAll(/^[ \t]*\/\*\*.*?\*\//gms)].flatMap((comment) => {
    const first = text.slice(0, comment.index).split('\n').length
    const lines = comment[0].split('\n').map(withoutStar)
    return lines.flatMap((line, at) => (line.startsWith('@example') ? exampleBlocks(file, first, lines, at) : []))
  })
}

function withoutStar(line: string): string {
  return line.replace(/^\s*(?:\/\*\*|\*(?!\/))? ?/, '').replace(/\s*\*\/\s*$/, '')
}

function exampleBlocks(file: string, first: number, lines: readonly string[], at: number): Block[] {
  // Decorators begin with @, too: only what stands outside a fence ends the example.
  let isFenced = false
  let end = at + 1
  while (end < lines.length && (isFenced || !/^@\w/.test(lines[end] ?? ''))) {
    if (lines[end]?.startsWith('```')) isFenced = !isFenced
    end += 1
  }
  const text = ['', ...lines.slice(at + 1, end)]
  text[0] = (lines[at] ?? '').slice('@example'.length).trim()
  const fenced = markdownBlocks(file, text.join('\n'))
  const shift = first + at - 1
  if (fenced.length > 0) return fenced.map((block) => ({ ...block, line: block.line + shift }))
  const skipped = text.findIndex((line) => line.trim() !== '')
  const code = text.slice(Math.max(0, skipped)).join('\n').trimEnd()
  return code === ''
    ? []
    : [{ file, line: first + at + skipped, code, notRun: notRunReason(code, []), continues: null }]
}

/** What an example says it prints, line by line: the literals behind its calls of console.log. */
export function expectedOutput(code: string): string[] {
  const literal = /(?:'[^']*'|true|false|null|undefined|-?\d+(?:\.\d+)?|\[.*\]|\{.*\})/.source
  const pattern = new RegExp(`^\\s*console\\.log\\(.*\\) // (?<text>${literal}(?: ${literal})*)$`, 'gm')
  return [...code.matchAll(pattern)].map(({ groups = {} }) => {
    const text = groups['text'] ?? ''
    // Quotes stand around strings inside of lists and objects only.
    return /[[{]/.test(text) ? text : text.replaceAll("'", '')
  })
}

/** The first of the expected lines that is not among the printed ones, in order; undefined when all are. */
export function missingOutput(expected: readonly string[], printed: string): string | undefined {
  const lines = printed.split('\n').values()
  return expected.find((text) => !lines.some((line) => line.trim() === text))
}
