/** The checker of the documentation, checked: what it finds in a text, and what it says of it. */
import { describe, expect, it } from 'vitest'
import { expectedOutput, markdownBlocks, missingOutput, tsdocBlocks } from './blocks.ts'
import { anchorsOf, linksOf } from './links.ts'
import { declaredNames, missingImports, suppliedByImports, suppliedByModule } from './names.ts'

const page = (...lines: string[]): string => lines.join('\n')

describe('examples on a page', () => {
  it('finds TypeScript and nothing else, with the line of its first line', () => {
    const blocks = markdownBlocks('a.md', page('# A', '```sh', 'npm ci', '```', '', '```ts', 'one()', 'two()', '```'))
    expect(blocks).toEqual([{ file: 'a.md', line: 7, code: 'one()\ntwo()', notRun: null, continues: null }])
  })

  it('reads marks: not run, and why; going on from the block above', () => {
    const text = page('```ts no-run', 'a()', '```', '```ts continues', '// not run: it needs a login', 'b()', '```')
    const [first, second] = markdownBlocks('a.md', text)
    expect(first?.notRun).toBe('marked no-run')
    expect(second?.notRun).toBe('it needs a login')
    expect(second?.continues).toBe(first)
  })

  it('refuses a mark nobody knows, and a block that is not closed', () => {
    expect(() => markdownBlocks('a.md', page('```ts norun', 'a()', '```'))).toThrow("a.md:1: no mark is called 'norun'")
    expect(() => markdownBlocks('a.md', page('text', '```ts', 'a()'))).toThrow(
      'a.md:2: a code block that is not closed',
    )
  })

  it('takes the indent of a list off', () => {
    expect(markdownBlocks('a.md', page('- x', '  ```ts', '  if (a) {', '    b()', '  }', '  ```'))[0]?.code).toBe(
      'if (a) {\n  b()\n}',
    )
  })
})

describe('examples in TSDoc', () => {
  it('finds fenced and bare ones, and ends at the next tag', () => {
    const text = page(
      '/**',
      ' * Adds.',
      ' * @example',
      ' * ```ts',
      ' * class A {',
      ' *   @cached()',
      ' *   b() {}',
      ' * }',
      ' * ```',
      ' * @throws never',
      ' */',
      'export function add() {}',
      '/** Says it. @example in the middle is text. */',
      '/**',
      ' * @example say(1) // 1',
      ' */',
    )
    expect(tsdocBlocks('a.ts', text).map(({ line, code }) => [line, code])).toEqual([
      [5, 'class A {\n  @cached()\n  b() {}\n}'],
      [15, 'say(1) // 1'],
    ])
  })
})

describe('what an example prints', () => {
  it('reads literals behind console.log, and leaves prose alone', () => {
    const code = page("console.log(a) // 'hit'", 'console.log(a, b) // 1 true', 'console.log(c) // every request')
    expect(expectedOutput(code)).toEqual(['hit', '1 true'])
    expect(expectedOutput("console.log(x) // [ 'a', 'b' ]")).toEqual(["[ 'a', 'b' ]"])
  })

  it('wants them in their order, with anything in between', () => {
    expect(missingOutput(['hit', '1 true'], 'miss\nhit\n1 true\n')).toBeUndefined()
    expect(missingOutput(['1 true', 'hit'], 'hit\n1 true\n')).toBe('hit')
  })
})

describe('names an example takes for granted', () => {
  const above = suppliedByImports("import express, { type Express } from 'express'\nimport * as fs from 'node:fs'")
  const scene = suppliedByModule('export interface User {}\nexport const db = 1\n', '../scene.ts')

  it('brings one name a statement, types as types', () => {
    expect([...above.values()]).toEqual([
      "import { type Express } from 'express'",
      "import express from 'express'",
      "import * as fs from 'node:fs'",
    ])
    expect([...scene.values()]).toEqual(["import { type User } from '../scene.ts'", "import { db } from '../scene.ts'"])
  })

  it('brings what is used and not declared, from the nearest supply', () => {
    expect(missingImports('const users: User[] = db', [above, scene])).toHaveLength(2)
    expect(missingImports('const { db } = open()\nfs.read(db)', [above, scene])).toEqual([
      "import * as fs from 'node:fs'",
    ])
  })

  it('knows what is declared', () => {
    const code = "import { a as b } from 'x'\nexport async function c() {}\nawait using d = e()\nconst [f, { g }] = h()"
    expect([...declaredNames(code)]).toEqual(['b', 'c', 'd', 'f', 'g'])
  })
})

describe('links', () => {
  it('makes the anchors GitHub makes', () => {
    const text = page(
      '# `get`, and `set`!',
      '## Same',
      '## Same',
      '```sh',
      '# not a heading',
      '```',
      '## [A](b.md) – B',
    )
    expect([...anchorsOf(text)]).toEqual(['get-and-set', 'same', 'same-1', 'a--b'])
  })

  it('finds relative links outside of code, and leaves those of the web alone', () => {
    const text = page(
      '[a](b.md#c) `[x](y.md)` [w](https://example.com)',
      '```md',
      '[x](z.md)',
      '```',
      '[ref]: d.md',
      '[`e`](f.md)',
    )
    expect(linksOf(text)).toEqual([
      { line: 1, target: 'b.md#c' },
      { line: 5, target: 'd.md' },
      { line: 6, target: 'f.md' },
    ])
  })
})
