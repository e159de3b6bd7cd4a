/**
 * Which call of a function the code that runs now belongs to, and what those calls wait for.
 *
 * A call that waits for itself, directly or through others, would wait for ever. Every call under way knows for which others it waits: before
 * one more begins to wait, the way back is looked for, and where there is one it is told so instead (RELIABILITY 72).
 */

interface Storage<T> {
  run<R>(value: T, call: () => R): R
  getStore(): T | undefined
}

interface Runtime {
  getBuiltinModule?: (id: string) => { AsyncLocalStorage?: new () => Storage<Run> } | undefined
}

/** Without AsyncLocalStorage only the part of a function before its first await is known to belong to it. */
class SyncStorage implements Storage<Run> {
  #current: Run | undefined

  run<R>(value: Run, call: () => R): R {
    const before = this.#current
    this.#current = value
    try {
      return call()
    } finally {
      this.#current = before
    }
  }

  getStore(): Run | undefined {
    return this.#current
  }
}

const AsyncStorage = (globalThis as { process?: Runtime }).process?.getBuiltinModule?.(
  'node:async_hooks',
)?.AsyncLocalStorage
const storage: Storage<Run> = AsyncStorage ? new AsyncStorage() : new SyncStorage()

/** One call of a function, for one key or, in a batch, for several. */
export class Run {
  /** The call from within which it was made, while that one is under way. */
  parent: Run | null
  readonly owner: object
  readonly ids: readonly (string | number)[]
  #ended = false
  #controller: AbortController | null = null
  #reason: { readonly reason: unknown } | null = null
  /** How many times over. Null: nothing yet. Most calls wait for no other. */
  #waitsFor: Map<Run, number> | null = null
  #waiters: Set<Run> | null = null

  constructor(owner: object, ids: readonly (string | number)[]) {
    this.owner = owner
    this.ids = ids
    // Calls that have ended are skipped: a chain of timers that call each other must not grow for ever.
    let parent = currentRun()
    while (parent !== null && parent.#ended) parent = parent.parent
    this.parent = parent
  }

  /** Aborted once nobody waits for the call any more. Made when asked for: most functions do not. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#reason !== null) this.#controller.abort(this.#reason.reason)
    }
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#reason = { reason }
    this.#controller?.abort(reason)
  }

  /** Calls the function as part of this run. */
  call<R>(fn: () => R): R {
    return storage.run(this, fn)
  }

  end(): void {
    this.#ended = true
    this.parent = null
    this.#waitsFor = null
    if (this.#waiters !== null) for (const waiter of this.#waiters) waiter.#waitsFor?.delete(this)
    this.#waiters = null
  }

  /** The run that makes this call is to wait for `other`: false where that could never end. */
  waitFor(other: Run): boolean {
    if (other.#reaches(this)) return false
    if (this.#ended || other.#ended) return true
    this.#waitsFor ??= new Map()
    this.#waitsFor.set(other, (this.#waitsFor.get(other) ?? 0) + 1)
    ;(other.#waiters ??= new Set()).add(this)
    return true
  }

  /** It waits for `other` no more, or once less: what that one asks for now waits for nobody in a circle. */
  leave(other: Run): void {
    const times = this.#waitsFor?.get(other) ?? 0
    if (times > 1) this.#waitsFor?.set(other, times - 1)
    else {
      this.#waitsFor?.delete(other)
      other.#waiters?.delete(this)
    }
  }

  /** Whether a call that this one was made from, and that waits for it, is for the same key: it would go on for ever. */
  repeats(owner: object, id: string | number): boolean {
    const isSame = (run: Run): boolean =>
      !run.#ended && run.owner === owner && run.ids.includes(id) && run.#reaches(this)
    if (isSame(this)) return true
    for (let run = this.parent; run !== null; run = run.parent) if (isSame(run)) return true
    return false
  }

  #reaches(target: Run): boolean {
    if (this === target) return true
    if (this.#waitsFor === null) return false
    const seen = new Set<Run>(this.#waitsFor.keys())
    for (const run of seen) {
      if (run === target) return true
      if (run.#waitsFor !== null) for (const next of run.#waitsFor.keys()) seen.add(next)
    }
    return false
  }
}

/** The call of a function that the code running now belongs to. */
export function currentRun(): Run | null {
  return storage.getStore() ?? null
}

/**
 * The signal of the cached function that runs now: aborted once nobody waits for its result any more, or its hard timeout is over.
 * Undefined outside of one. For memoized functions, whose parameters are their own.
 *
 * @example
 * ```ts
 * import { callSignal, memoize } from 'keepfresh/memo'
 *
 * const getUser = memoize(async (id: number) => {
 *   const response = await fetch(`https://api.example.com/users/${id}`, { signal: callSignal() ?? null })
 *   return response.json()
 * })
 * ```
 */
export function callSignal(): AbortSignal | undefined {
  return currentRun()?.signal
}
