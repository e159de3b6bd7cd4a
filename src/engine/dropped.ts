/**
 * Ends what is open on account of an object once nobody has that object any more.
 *
 * Rule 1: what was let go of in time leaves nothing behind. (V8 keeps what a registry was given, and the token it was given it under, from
 *   unregistering until its next full collection: everything reachable from them would grow old with them. So both are a box, emptied.)
 */

/** What the registry holds; null: let go of. */
export interface Watch<T> {
  held: T | null
}

export class Dropped<T> {
  readonly #registry: FinalizationRegistry<Watch<T>>

  /** `end` is told what is still open; it must not lead back to the object that is watched. */
  constructor(end: (held: T) => void) {
    this.#registry = new FinalizationRegistry(({ held }) => {
      if (held !== null) end(held)
    })
  }

  watch(object: object, held: T): Watch<T> {
    const watch: Watch<T> = { held }
    this.#registry.register(object, watch, watch)
    return watch
  }

  /** Lets go: nothing is open any more, or somebody else sees to it. */
  end(watch: Watch<T>): void {
    if (watch.held === null) return
    watch.held = null
    this.#registry.unregister(watch)
  }
}
