/** What is given to the helpers of tests wrongly is told there, not found out hours later (feature B9, row 280). */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OptionError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { FakeClock, FaultyStore, startOrigin, type LocalOrigin } from './index.ts'

let origin: LocalOrigin
beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())

const get = async (path: string): Promise<[status: number, text: string]> => {
  const response = await fetch(origin.url + path)
  return [response.status, await response.text()]
}
const wrong = (value: unknown): never => value as never

test('a Response is an answer, in a script more than once', async () => {
  origin.route('/made/{id}', ({ params }) =>
    Response.json({ id: params['id'] }, { status: 201, headers: { 'x-a': 'b' } }),
  )
  expect(await get('/made/7')).toEqual([201, '{"id":"7"}'])
  origin.script('/scripted', [new Response('once', { status: 503 }), new Response('again')], 'last')
  expect([await get('/scripted'), await get('/scripted'), await get('/scripted')]).toEqual([
    [503, 'once'],
    [200, 'again'],
    [200, 'again'],
  ])
  const cookies = new Response(null, {
    headers: [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ],
  })
  origin.route('/cookies-made', () => cookies)
  expect((await fetch(`${origin.url}/cookies-made`)).headers.getSetCookie()).toEqual(['a=1', 'b=2'])
})

test('an answer with a name that is none is a 500 that says so, and an entry in errors', async () => {
  origin.route('/slip', () => wrong({ stauts: 404 }))
  origin.route('/text', () => wrong('hello'))
  expect(await get('/slip')).toEqual([500, expect.stringContaining('did you mean status?')])
  expect(await get('/text')).toEqual([500, expect.stringContaining('not string')])
  expect(origin.errors).toHaveLength(2)
  origin.reset()
})

test('what is wrong before any request is an error at once', async () => {
  await expect(startOrigin(wrong({ prot: 8080 }))).rejects.toThrow('did you mean port?')
  expect(() => origin.route('/x', wrong({ status: 200 }))).toThrow(OptionError)
  expect(() => origin.script('/x', [])).toThrow(OptionError)
  expect(() => origin.script('/x', wrong({ status: 200 }))).toThrow('an array of answers')
  expect(() => origin.script('/x', [wrong({ jsn: 1 })])).toThrow('did you mean json?')
  const clock = new FakeClock(5)
  expect(() => clock.advance(wrong('5m'))).toThrow("milliseconds, a number, not '5m'")
  expect(() => clock.set(Number.NaN)).toThrow(OptionError)
  expect(() => new FakeClock(wrong(new Date()))).toThrow(OptionError)
  expect(clock.now()).toBe(5)
  expect(() => new FaultyStore(wrong(undefined))).toThrow('give the store that is to fail')
  const store = new FaultyStore(new MemoryStore())
  expect(() => store.fail(wrong('reed'), 'hang')).toThrow('one of read, write, update, delete')
  expect(() => store.fail('write', 'garbage')).toThrow('write fails by throw, reject, hang, never-drain')
})
