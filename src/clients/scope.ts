/** `disabled()` scopes (feature S5): only the async context inside one skips the cache; they nest, and end however the body ends. */
import { StateError } from '../errors.ts'

interface AsyncStorage {
  run<T>(value: true, body: () => T): T
  getStore(): true | undefined
}

type AsyncHooks = { AsyncLocalStorage: new () => AsyncStorage }

export class DisabledScope {
  #storage: AsyncStorage | null = null

  run<T>(body: () => T): T {
    this.#storage ??= makeStorage()
    return this.#storage.run(true, body)
  }

  get active(): boolean {
    return this.#storage?.getStore() === true
  }
}

function makeStorage(): AsyncStorage {
  const runtime = (globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } }).process
  const hooks = runtime?.getBuiltinModule?.('node:async_hooks') as AsyncHooks | undefined
  if (hooks === undefined)
    throw new StateError('ERR_NOT_SUPPORTED', 'disabled() needs AsyncLocalStorage, which this runtime does not have')
  return new hooks.AsyncLocalStorage()
}
