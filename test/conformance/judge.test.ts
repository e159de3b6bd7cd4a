/** The harness itself: it must be able to fail. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { adapt, assertUnused } from './adapter.ts'
import { applicable, chosen, unsorted } from './applicability.ts'
import { CONFIGURATION_NAMES, nameOf, runnable } from './configuration.ts'
import { isSurprise, judge, listProblems } from './judge.ts'
import type { ExpectedFailure, Verdict } from './judge.ts'
import { paced } from './pace.ts'
import { count, lastLine } from './report.ts'
import { withDependencies } from './suite.ts'
import type { SuiteInit } from './suite.ts'

const PRIVATE = { type: 'private', store: 'memory' } as const
const KOA = { type: 'shared', store: 'memory', edge: 'koa' } as const
const reason = 'a reason that is long enough'
const failure = ['Assertion', 'Response 2 does not come from cache'] as const

function only(id: string, results: Parameters<typeof judge>[1], list: readonly ExpectedFailure[] = []): Verdict {
  const [verdict] = judge(PRIVATE, results, list, new Set([id]))
  if (verdict === undefined) throw new Error(`no verdict on ${id}`)
  return verdict
}

function size(type: 'private' | 'shared'): number {
  return applicable(type).flatMap((group) => group.tests).length
}

test('a failure that is not listed, and a listed test that passes, are surprises; the other two are not', () => {
  const listed = [{ id: 'vary-match', configurations: ['private'], reason }]
  const elsewhere = [{ id: 'vary-match', configurations: ['shared', 'private/sqlite'], reason }]
  expect(isSurprise(only('vary-match', { 'vary-match': true }))).toBe(false)
  expect(isSurprise(only('vary-match', { 'vary-match': failure }))).toBe(true)
  expect(isSurprise(only('vary-match', { 'vary-match': failure }, listed))).toBe(false)
  expect(isSurprise(only('vary-match', { 'vary-match': true }, listed))).toBe(true)
  expect(isSurprise(only('vary-match', { 'vary-match': failure }, elsewhere))).toBe(true)
})

test('what is listed for a shared fetch is not listed for an edge, nor what is for one edge for another', () => {
  const expected = (...configurations: string[]): boolean => {
    const list = [{ id: 'vary-match', configurations, reason }]
    return judge(KOA, {}, list, new Set(['vary-match']))[0]?.expected === reason
  }
  expect([expected('edge'), expected('edge/koa')]).toEqual([true, true])
  expect([expected('shared'), expected('shared/memory'), expected('edge/hono')]).toEqual([false, false, false])
  expect([nameOf(KOA), nameOf({ ...KOA, store: 'redis' })]).toEqual(['edge/koa', 'edge/koa/redis'])
  expect(CONFIGURATION_NAMES.has('edge')).toBe(true)
})

test('a run without names has every edge, each once; a name leaves the others out', () => {
  const names = runnable({}).map(nameOf)
  expect(names.filter((name) => name.startsWith('edge/'))).toEqual(
    ['node', 'express', 'fastify', 'koa', 'hono', 'handler'].map((edge) => `edge/${edge}`),
  )
  expect(runnable({ edge: 'koa', store: 'sqlite' }).map(nameOf)).toEqual(['edge/koa/sqlite'])
  expect(runnable({ store: 'sqlite' }).map(nameOf)).toEqual(['private/sqlite', 'shared/sqlite'])
})

test('of a slow store, the tests that are run bring along what they depend on', () => {
  const tests = chosen({ type: 'shared', store: 'mongodb' })
  expect(tests?.has('304-etag-update-response-Expires')).toBe(true)
  // Of a group that is left out.
  expect([tests?.has('freshness-max-age'), tests?.has('freshness-none')]).toEqual([false, true])
  expect(chosen(PRIVATE)).toBe(null)
})

test('a test starts only while few requests are under way, and then goes on at once', async () => {
  const seen: string[] = []
  const answers: (() => void)[] = []
  const fetch = paced((url) => {
    seen.push(new URL(url).pathname)
    return new Promise((resolve) => answers.push(() => resolve(new Response())))
  }, 2)
  const sent = ['/config/a', '/config/b', '/config/c', '/test/a'].map((path) => fetch(`http://localhost${path}`))
  expect(seen).toEqual(['/config/a', '/config/b', '/test/a'])
  answers[0]?.()
  await sent[0]
  await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual(['/config/a', '/config/b', '/test/a'])
  answers[1]?.()
  await sent[1]
  await new Promise((resolve) => setImmediate(resolve))
  expect(seen).toEqual(['/config/a', '/config/b', '/test/a', '/config/c'])
})

test('failed set-ups, failed dependencies, retries and hangs are not passes', () => {
  const result = (results: Parameters<typeof judge>[1]): string => only('freshness-max-age', results).result
  expect(result({ 'freshness-max-age': true, 'freshness-none': true })).toBe('pass')
  expect(result({ 'freshness-max-age': true, 'freshness-none': failure })).toBe('dependency')
  expect(result({ 'freshness-max-age': true })).toBe('dependency')
  expect(result({ 'freshness-max-age': ['Setup', 'x'], 'freshness-none': true })).toBe('setup')
  expect(result({ 'freshness-max-age': ['Setup', 'retry'], 'freshness-none': true })).toBe('retry')
  expect(result({ 'freshness-max-age': ['TypeError', 'x'], 'freshness-none': true })).toBe('fail')
  expect(result({ 'freshness-none': true })).toBe('hang')
  expect(only('freshness-max-age', { 'freshness-max-age': true, 'freshness-none': failure }).detail).toBe(
    'depends on freshness-none; by itself: passed',
  )
})

test('a check answers yes or no and is never a surprise', () => {
  expect(only('freshness-none', { 'freshness-none': true })).toMatchObject({ kind: 'check', result: 'yes' })
  expect(only('freshness-none', { 'freshness-none': failure }).result).toBe('no')
  expect(isSurprise(only('freshness-none', { 'freshness-none': failure }))).toBe(false)
})

test('the last line counts passes, surprises, and what is not judged', () => {
  const base = { id: 'x', detail: '', expected: null }
  const verdicts: Verdict[] = [
    { ...base, kind: 'required', result: 'pass' },
    { ...base, kind: 'optimal', result: 'fail' },
    { ...base, kind: 'required', result: 'pass', expected: reason },
    { ...base, kind: 'required', result: 'setup', expected: reason },
    { ...base, kind: 'check', result: 'no' },
  ]
  const counts = count([{ configuration: PRIVATE, verdicts, notRun: 3, milliseconds: 0 }])
  expect(lastLine(counts)).toBe('1 passed, 2 failed, 4 skipped')
})

test('mistakes in the list of expected failures are found', () => {
  const list = [
    { id: 'no-such-test', configurations: ['private'], reason },
    { id: 'freshness-none', configurations: ['private'], reason },
    { id: 'other-authorization', configurations: ['private'], reason: 'short' },
    { id: 'vary-match', configurations: ['private/nowhere'], reason },
    { id: 'vary-match', configurations: ['shared'], reason },
    { id: 'cc-resp-immutable-fresh', configurations: ['edge/koa'], reason },
  ]
  expect(listProblems(list)).toEqual([
    'no-such-test: no such test',
    'no-such-test: does not apply to a private cache',
    'freshness-none: a check never fails',
    'other-authorization: a reason is a sentence',
    'other-authorization: does not apply to a private cache',
    "vary-match: no configuration 'private/nowhere'",
    'vary-match: listed twice',
    'cc-resp-immutable-fresh: does not apply to a shared cache',
  ])
})

test('the checked-in list is sound, and every test of the suite is sorted', async () => {
  const text = await readFile(new URL('expected-failures.json', import.meta.url), 'utf8')
  expect(listProblems(JSON.parse(text))).toEqual([])
  expect(unsorted()).toEqual([])
  expect([size('private'), size('shared')]).toEqual([321, 329])
  expect([...withDependencies('conditional-304-etag')]).toEqual([
    'conditional-304-etag',
    'conditional-etag-strong-respond',
  ])
})

test("the adapter takes out the runner's hack and nothing else", async () => {
  expect(() => assertUnused()).not.toThrow()
  const seen: (SuiteInit | undefined)[] = []
  const fetch = adapt((_url, init) => {
    seen.push(init)
    return Promise.resolve(new Response())
  })
  const dummies: [string, string][] = [
    ['Pragma', 'foo'],
    ['Cache-Control', 'nothing-to-see-here'],
  ]
  await fetch('x', { cache: 'no-store', headers: [...dummies, ['Test-ID', 'y']], redirect: 'manual' })
  await fetch('x', {
    cache: 'no-cache',
    headers: [
      ['Pragma', 'no-cache'],
      ['Cache-Control', 'max-age=0'],
    ],
  })
  expect(seen).toEqual([
    { headers: [['Test-ID', 'y']], redirect: 'manual' },
    {
      cache: 'no-cache',
      headers: [
        ['Pragma', 'no-cache'],
        ['Cache-Control', 'max-age=0'],
      ],
    },
  ])
})
