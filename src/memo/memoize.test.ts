import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { OptionError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { AsyncCache, cached, cacheOf, memoize, type CacheItem, type MemoStats } from './index.ts'

interface User {
  readonly id: number
  readonly name: string
}

describe('F1: memoize', () => {
  const make = () => {
    const load = vi.fn(async (id: number, detail?: { full: boolean }): Promise<User> => ({
      id,
      name: `user ${id}${detail?.full ? ' full' : ''}`,
    }))
    return { load, user: memoize(load, { ttl: '5m' }) }
  }

  test('row 263, 267: a call once for each list of arguments; invalidate, refresh, peek, prime, clear, stats, cacheKey', async () => {
    const { load, user } = make()
    expect(
      [await user(1), await user(1), await user(2), await user(1, { full: true })].map(({ name }) => name),
    ).toEqual(['user 1', 'user 1', 'user 2', 'user 1 full'])
    expect(load).toHaveBeenCalledTimes(3)
    expect(await user.peek(1)).toEqual({ id: 1, name: 'user 1' })
    expect(await user.peek(9)).toBe(undefined)
    expect([await user.invalidate(1), await user.invalidate(1)]).toEqual([true, false])
    await user(1)
    await user.refresh(1)
    expect(load).toHaveBeenCalledTimes(5)
    await user.prime([3], { id: 3, name: 'primed' })
    expect((await user(3)).name).toBe('primed')
    expect(user.stats()).toMatchObject({ hits: 2, misses: 5, size: 4 })
    expect([user.cacheKey(1), user.cacheKey(1, { full: true })]).toEqual(['~n1', '~(n1,{"full":T})'])
    await user.clear()
    expect(user.stats().size).toBe(0)
    await user.cache.close()
    await expect(user(1)).rejects.toThrow('closed')
  })

  test('row 268: the type of the function is kept, exactly', () => {
    const user = memoize(async (id: number, _detail?: { full: boolean }): Promise<User> => ({ id, name: '' }))
    expectTypeOf(user).toBeCallableWith(1)
    expectTypeOf(user).toExtend<(id: number, detail?: { full: boolean }) => Promise<User>>()
    expectTypeOf(user).parameters.toEqualTypeOf<[id: number, detail?: { full: boolean } | undefined]>()
    expectTypeOf(user).returns.toEqualTypeOf<Promise<User>>()
    expectTypeOf(user.with({})).parameters.toEqualTypeOf<[id: number, detail?: { full: boolean } | undefined]>()
    expectTypeOf(user.invalidate).parameters.toEqualTypeOf<[id: number, detail?: { full: boolean } | undefined]>()
    expectTypeOf(user.peek).returns.toEqualTypeOf<Promise<User | undefined>>()
    expectTypeOf(user.prime).parameter(1).toEqualTypeOf<User>()
    expectTypeOf(user.stats()).toEqualTypeOf<MemoStats>()
    expectTypeOf(user.cache.entries()).toEqualTypeOf<
      AsyncGenerator<CacheItem<[id: number, detail?: { full: boolean } | undefined], User>>
    >()
    const generic = memoize(async <T extends string | number>(value: T): Promise<{ value: T }> => ({ value }))
    expectTypeOf(generic<'a'>('a')).toEqualTypeOf<Promise<{ value: 'a' }>>()
    // @ts-expect-error a number is asked for
    void user('1').catch(() => undefined)
    // @ts-expect-error a function that returns no promise is none to be memoized
    memoize((id: number) => id)
    // @ts-expect-error the value is a User
    memoize(async (id: number): Promise<User> => ({ id, name: '' }), { ttl: (value: string) => value })
    memoize(async (id: number): Promise<User> => ({ id, name: '' }), {
      ttl: (value, [id]) => (value.name === '' ? id : '1h'),
      tags: (value) => [value.name],
      key: (id) => id,
    })
    // @ts-expect-error a misspelt option
    expect(() => memoize(async () => 1, { maxsize: 1 })).toThrow(
      'memoize: unknown option maxsize; did you mean maxSize?',
    )
  })

  test('name, number of parameters, this and the original are those of the function', async () => {
    async function who(this: { name: string }, _a: number, _b: number): Promise<string> {
      return this.name
    }
    const memoized = memoize(who)
    expect([memoized.name, memoized.length, memoized.original]).toEqual(['who', 2, who])
    expect(await memoized.call({ name: 'first' }, 1, 2)).toBe('first')
  })

  test('row 268: so are properties of its own; controls of the same name take their place', async () => {
    const load = Object.assign(async (id: number) => id, { version: 3, clear: 'mine' })
    Object.defineProperty(load, 'twice', { get: () => 2 * load.version })
    Object.freeze(load)
    const memoized = memoize(load)
    expect([memoized.version, Reflect.get(memoized, 'twice'), typeof memoized.clear]).toEqual([3, 6, 'function'])
    expectTypeOf(memoized.version).toEqualTypeOf<number>()
    expect(Reflect.get(memoized.with({}), 'version')).toBe(3)
    expect(load.clear).toBe('mine')
    const again = memoize(memoized)
    await again(1)
    await memoized.clear()
    expect([again.stats().size, memoized.stats().size]).toEqual([1, 0])
  })

  test('row 263: calls by call, apply, bind and with, with one text or number and otherwise, are the same calls', async () => {
    const load = vi.fn(async (...args: unknown[]) => args)
    const memoized = memoize(load)
    for (const args of [['a'], ['~'], [1], [-0], [0], [Number.NaN], [], [undefined], [null], [['a']], ['a', 1], [1n]]) {
      load.mockClear()
      const values = [
        await memoized(...args),
        await memoized.apply(null, args),
        await memoized.bind(null, ...args)(),
        await memoized.with({ ttl: '1h' })(...args),
        await memoized.peek(...args),
        await memoized.cache.get(args),
      ]
      expect(load.mock.calls).toEqual([args])
      for (const value of values) expect(value).toBe(values[0])
      expect(values[0]).toEqual(args)
    }
  })

  test('the option key says what counts; an argument without a value is refused by a rejection, not a throw', async () => {
    const load = vi.fn(async (id: number, signal?: AbortSignal) => `${id} ${signal?.aborted}`)
    const plain = memoize(load)
    const error = await plain(1, new AbortController().signal).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(OptionError)
    expect((error as OptionError).message).toContain('argument 2 is or contains an instance of AbortSignal')
    const keyed = memoize(load, { key: (id) => id })
    await Promise.all([keyed(1, new AbortController().signal), keyed(1, new AbortController().signal)])
    expect(load).toHaveBeenCalledTimes(1)
  })

  test('with: options for the calls made through it', async () => {
    const clock = new FakeClock()
    const load = vi.fn(async (id: number) => id)
    const user = memoize(load, { clock, ttl: 60 })
    await user.with({ ttl: 5, tags: ['t'] })(1)
    clock.advance(5000)
    await user(1)
    expect(load).toHaveBeenCalledTimes(2)
    await user.with({ refresh: true })(1)
    await user.with({ write: false, refresh: true })(2)
    expect(await user.peek(2)).toBe(undefined)
    const controller = new AbortController()
    controller.abort(new Error('left'))
    await expect(user.with({ signal: controller.signal })(3)).rejects.toThrow('left')
    expect(() => user.with({ signl: 1 } as object)).toThrow('did you mean signal?')
  })

  test('with a store: named, shared by equal names, apart by others', async () => {
    const store = new MemoryStore()
    expect(() => memoize(async () => 1, { store })).toThrow('with a store a name is required')
    const count = vi.fn(async (n: number) => n)
    for (const name of ['one', 'one', 'two']) await memoize(count, { store, name })(1)
    expect(count).toHaveBeenCalledTimes(2)
  })

  test('something else than a function is refused', () => {
    expect(() => memoize('no' as never)).toThrow(OptionError)
    expect(() => memoize(async () => 1, { key: 'id' as never })).toThrow('key must be a function')
  })
})

describe('F1: @cached', () => {
  /** As a runtime, or a compiler, applies a decorator. */
  function decorate(
    type: { readonly prototype: object },
    name: string,
    decorator: (method: never, context: never) => unknown,
    more: Partial<ClassMethodDecoratorContext> = {},
  ): void {
    const method: unknown = Reflect.get(type.prototype, name)
    const context = { kind: 'method', name, static: false, private: false, ...more }
    Object.defineProperty(type.prototype, name, {
      value: decorator(method as never, context as never),
      writable: true,
      configurable: true,
    })
  }

  const make = () => {
    class Service {
      calls = 0
      readonly prefix: string
      constructor(prefix: string) {
        this.prefix = prefix
      }
      async greet(name: string): Promise<string> {
        this.calls += 1
        return `${this.prefix} ${name}`
      }
    }
    return Service
  }

  test('each instance has a cache of its own', async () => {
    const Service = make()
    decorate(Service, 'greet', cached<[name: string], string>({ ttl: '1m' }))
    const [a, b] = [new Service('hello'), new Service('hi')]
    expect([await a.greet('x'), await a.greet('x'), await b.greet('x')]).toEqual(['hello x', 'hello x', 'hi x'])
    expect([a.calls, b.calls]).toEqual([1, 1])
    expect(a.greet.name).toBe('greet')
    const cache = cacheOf(a.greet, a)
    expectTypeOf(cache).toEqualTypeOf<AsyncCache<[name: string], string>>()
    expect(await cache.delete(['x'])).toBe(true)
    await a.greet('x')
    await b.greet('x')
    expect([a.calls, b.calls]).toEqual([2, 1])
  })

  test('a method without its instance is told so', async () => {
    const Service = make()
    decorate(Service, 'greet', cached())
    const { greet } = Service.prototype
    await expect(Reflect.apply(greet, undefined, ['x'])).rejects.toThrow('greet was called without its instance')
  })

  test('in a store instances are told apart by key', async () => {
    const store = new MemoryStore()
    const Service = make()
    expect(() => decorate(Service, 'greet', cached({ store, name: 'greet' }))).toThrow(
      'give key, a function of (args, instance)',
    )
    decorate(
      Service,
      'greet',
      cached<[name: string], string>({
        store,
        name: 'greet',
        key: ([name], instance) => [name, (instance as { prefix: string }).prefix],
      }),
    )
    const [a, twin, b] = [new Service('hello'), new Service('hello'), new Service('hi')]
    expect([await a.greet('x'), await twin.greet('x'), await b.greet('x')]).toEqual(['hello x', 'hello x', 'hi x'])
    expect([a.calls, twin.calls, b.calls]).toEqual([1, 0, 1])
    expect(await cacheOf(twin.greet, twin).delete(['x'])).toBe(true)
    await a.greet('x')
    expect(a.calls).toBe(2)
  })

  test('wrong options, and wrong places, are refused when the class is defined', () => {
    const Service = make()
    expect(() => decorate(Service, 'greet', cached({ tll: 1 } as object))).toThrow(
      'cached: unknown option tll; did you mean ttl?',
    )
    expect(() => decorate(Service, 'greet', cached(), { kind: 'getter' as 'method' })).toThrow(
      '@cached() is for methods, not for a getter',
    )
    expect(() => cached({ key: 1 as never })).toThrow('key must be a function')
    expect(() => cached(Service.prototype.greet as never)).toThrow('cached: write @cached(), with parentheses')
    expect(() => cached(null as never)).toThrow('cached: options must be an object, not null')
    expect(() => cacheOf(async () => 1, {})).toThrow('not one that @cached() decorated')
  })

  test('in the syntax of the language, compiled by TypeScript: typed methods, of instances, static and private', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keepfresh-decorator-'))
    const index = fileURLToPath(new URL('index.ts', import.meta.url))
    try {
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
      writeFileSync(join(folder, 'decorated.ts'), DECORATED.replace('INDEX', relative(folder, index)))
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({
          extends: fileURLToPath(new URL('../../tsconfig.base.json', import.meta.url)),
          compilerOptions: {
            noEmit: false,
            declaration: false,
            isolatedDeclarations: false,
            rewriteRelativeImportExtensions: true,
            rootDir: '/',
            outDir: 'out',
            lib: ['ES2024', 'ESNext.Disposable', 'ESNext.Iterator'],
            skipLibCheck: true,
            types: ['node'],
            typeRoots: [fileURLToPath(new URL('../../node_modules/@types', import.meta.url))],
          },
          files: ['decorated.ts'],
        }),
      )
      execFileSync(fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url)), ['-p', folder], {
        encoding: 'utf8',
      })
      const out = execFileSync(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', join(folder, 'out', folder, 'decorated.js')],
        { encoding: 'utf8' },
      )
      expect(JSON.parse(out)).toEqual({
        first: 'report 1 of Rome',
        second: 'report 1 of Rome',
        other: 'report 1 of Rome',
        statically: [1, 1],
        privately: [1, 1],
        typed: ['Oslo', 5],
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

const DECORATED = `
import { cached } from 'INDEX'
class Weather {
  static made = 0
  #reports = 0
  #seen = 0
  @cached<[city: string], string>({ ttl: (report) => report.length, tags: (_, [city]) => [city] })
  async report(city: string): Promise<string> {
    return 'report ' + ++this.#reports + ' of ' + city
  }
  @cached({ ttl: '5m' })
  static async count(): Promise<number> {
    return ++Weather.made
  }
  @cached()
  async #secret(): Promise<number> {
    return ++this.#seen
  }
  secrets(): Promise<number[]> {
    return Promise.all([this.#secret(), this.#secret()])
  }
  @cached()
  async echo<T extends string>(text: T): Promise<T> {
    return text
  }
  over(a: number): Promise<number>
  over(a: string): Promise<string>
  @cached()
  async over(a: number | string): Promise<number | string> {
    return a
  }
  // @ts-expect-error the options are for a method of other types
  @cached<[id: number], string>({ ttl: 5 })
  async wrong(city: string): Promise<string> {
    return city
  }
}
const [a, b] = [new Weather(), new Weather()]
const report: string = await a.report('Rome')
const [echoed, over]: ['Oslo', number] = [await a.echo('Oslo'), await a.over(5)]
console.log(JSON.stringify({
  first: report,
  second: await a.report('Rome'),
  other: await b.report('Rome'),
  statically: [await Weather.count(), await Weather.count()],
  privately: await a.secrets(),
  typed: [echoed, over],
}))
`
