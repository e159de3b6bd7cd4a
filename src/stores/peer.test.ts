/** Packages that may be missing: what is told, and that nobody needs them to bundle what does not use them (row 6). */
import { globSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { StateError } from '../errors.ts'
import { missingPeer } from './peer.ts'

const SOURCES: string = new URL('..', import.meta.url).pathname

describe('row 6: a package that is not installed', () => {
  it.each(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'])('is told by its name: %s', (code) => {
    const cause = Object.assign(new Error('Cannot find package'), { code })
    const told = missingPeer(cause, 'npm install it')
    expect(told).toBeInstanceOf(StateError)
    expect(told).toMatchObject({ code: 'ERR_MISSING_PEER', message: 'npm install it', cause })
  })

  it('hides no other failure', () => {
    const cause = new SyntaxError('unexpected token')
    expect(missingPeer(cause, 'npm install it')).toBe(cause)
  })

  it('is imported in a try, where esbuild and webpack let it be missing', () => {
    const imports: string[] = []
    for (const file of globSync('**/*.ts', { cwd: SOURCES }).filter((path) => !path.endsWith('.test.ts'))) {
      const lines = readFileSync(`${SOURCES}${file}`, 'utf8').split('\n')
      for (const [at, line] of lines.entries()) {
        if (!/\bimport\('(?![./]|node:)/.test(line) || /^\s*\*/.test(line)) continue
        imports.push(line)
        expect(lines[at - 1]?.trim(), `${file}:${at + 1}`).toBe('try {')
      }
    }
    expect(imports.length).toBeGreaterThan(6)
  })
})
