/**
 * Ends what is open on account of an object once nobody has that object any more.
 *
 * Rule 1: what was let go of in time leaves nothing behind. (V8 keeps what a registry was given, and the token it was given it under, from
 *   unregistering until its next full collection: everything reachable from them would grow old with them. So both are a box, emptied.)
 */

const registry = new FinalizationRegistry<Watch>((watch) => watch.happened())

/** Waits for an object to be collected. */
export class Watch {
  #then: (() => void) | null

  constructor(then: () => void) {
    this.#then = then
  }

  happened(): void {
    this.#then?.()
  }

  /** Nothing is open any more, or somebody else sees to it. */
  end(): void {
    if (this.#then === null) return
    this.#then = null
    registry.unregister(this)
  }
}

/** Calls `then` once the object was collected, unless the watch is ended before. Nothing in `then` may lead back to the object. */
export function whenDropped(object: object, then: () => void): Watch {
  const watch = new Watch(then)
  registry.register(object, watch, watch)
  return watch
}
