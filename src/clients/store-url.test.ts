/** S3, C6: what bundlers for browsers take in the place of the stores by URL, and what keeps Node.js out of a bundle. */
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { OptionError } from '../errors.ts'
import * as inBrowsers from './store-url-browser.ts'
import * as everywhere from './store-url.ts'

const ROOT: URL = new URL('../../', import.meta.url)
const source = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')

test('both export the same; in browsers there is memory, and a clear word on the others', async () => {
  expect(Object.keys(inBrowsers).toSorted()).toEqual(Object.keys(everywhere).toSorted())
  expect((await inBrowsers.openerOf('memory:')()).name).toBe('memory')
  expect(() => inBrowsers.openerOf('sqlite:x.db')).toThrow(OptionError)
  expect(() => inBrowsers.openerOf('redis://x')).toThrow('any other is given as an instance')
})

test('package.json names the two, and no module that a browser bundles imports node:', () => {
  const { browser } = JSON.parse(source('package.json')) as { browser?: Record<string, string> }
  expect(browser).toEqual({ './dist/clients/store-url.js': './dist/clients/store-url-browser.js' })
  const seen = new Set<string>()
  const follow = (path: string): void => {
    const taken = path === 'src/clients/store-url.ts' ? 'src/clients/store-url-browser.ts' : path
    if (seen.has(taken)) return
    seen.add(taken)
    expect(existsSync(new URL(taken, ROOT)), taken).toBe(true)
    const code = source(taken).replace(/^\s*(?:\/\*\*|\*).*$/gm, '')
    for (const [, what = ''] of code.matchAll(/^(?:import|export) (?!type\b)[^;]*?from '([^']+)'/gm)) {
      expect(what, taken).not.toMatch(/^node:/)
      if (what.startsWith('.')) follow(new URL(what, new URL(taken, ROOT)).pathname.slice(ROOT.pathname.length))
    }
  }
  follow('src/index.ts')
  follow('src/memo/index.ts')
  expect(seen.size).toBeGreaterThan(60)
})
