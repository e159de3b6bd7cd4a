import { describe, expect, it } from 'vitest'
import { together, type Pending } from './memcached-pending.ts'
import { deletion, retrieval, storage, type Request } from './memcached-protocol.ts'

const said: string[] = []

function pending(request: Request, name: string): Pending {
  return {
    request,
    deadline: said.length,
    settle: ({ line, values }) =>
      said.push(`${name}: ${line} ${values.map(({ key, data }) => `${key}=${data[0]}`).join()}`),
    reject: (error) => said.push(`${name}: ${String(error)}`),
  }
}

const get = (key: string, name = key): Pending => pending(retrieval('get', [key]), name)
const textsOf = (commands: readonly Pending[]): string[] => commands.map(({ request }) => request.text)
const found = (key: string): { key: string; data: Uint8Array; cas: null } => ({
  key,
  data: new Uint8Array([key.charCodeAt(0)]),
  cas: null,
})

describe('gets of one turn (B7)', () => {
  it('become one command, of at most sixteen keys', () => {
    const keys = Array.from({ length: 18 }, (_, n) => `k${n}`)
    expect(textsOf(together(keys.map((key) => get(key))))).toEqual([
      `get ${keys.slice(0, 16).join(' ')}\r\n`,
      'get k16 k17\r\n',
    ])
  })

  it('stay in their order with all else, and one alone stays as it is', () => {
    const set = pending(storage('set', 'a', new Uint8Array(1), 0), 'set')
    const other = [pending(retrieval('gets', ['a']), 'gets'), pending(retrieval('get', ['x', 'y']), 'many')]
    const alone = get('a')
    const commands = together([alone, set, get('a'), get('b'), ...other, pending(deletion('a'), 'delete'), get('c')])
    expect(commands[0]).toBe(alone)
    expect(textsOf(commands)).toEqual([
      'get a\r\n',
      'set a 0 0 1\r\n',
      'get a b\r\n',
      'gets a\r\n',
      'get x y\r\n',
      'delete a\r\n',
      'get c\r\n',
    ])
  })

  it('give each its own value, whatever their order, and nothing where there is none', () => {
    said.length = 0
    const [command] = together([get('a'), get('b'), get('c')])
    command?.settle({ line: 'END', values: [found('c'), found('a')] })
    expect(said).toEqual(['c: END c=99', 'a: END a=97', 'b: END '])
  })

  it('fail together, with what the server says or with what became of the connection', () => {
    said.length = 0
    const asked = (): Pending | undefined => together([get('a'), get('b')])[0]
    asked()?.settle({ line: 'SERVER_ERROR busy', values: [] })
    asked()?.reject('lost')
    expect(said).toEqual(['a: SERVER_ERROR busy ', 'b: SERVER_ERROR busy ', 'a: lost', 'b: lost'])
  })

  it('of one key are two commands: no two share the bytes of a value', () => {
    expect(textsOf(together([get('a'), get('b'), get('a')]))).toEqual(['get a b\r\n', 'get a\r\n'])
  })

  it('are late when the first of them is', () => {
    const [command] = together([
      { ...get('a'), deadline: 5 },
      { ...get('b'), deadline: 7 },
    ])
    expect(command?.deadline).toBe(5)
  })
})
