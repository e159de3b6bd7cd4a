/**
 * What is under way between a tiered store's two tiers: a copy that was asked for before a change must not be kept after it.
 */

/** One read or write of the far store. */
export interface Flight {
  readonly key: string
  readonly name: string
  /** A write from here, of which a channel tells as of any. */
  readonly isOwn: boolean
  /** Something changed under its key since it began: what it brings may be old. */
  isStale: boolean
  /** A channel told of a change since an own write began: of this one, or of another. */
  isTold: boolean
}

export class Flights {
  readonly #byName = new Map<string, Set<Flight>>()
  readonly #nameOf: (key: string) => string

  /** @param nameOf what a channel calls a key; null: by the key */
  constructor(nameOf: ((key: string) => string) | null = null) {
    this.#nameOf = nameOf ?? ((key) => key)
  }

  start(key: string, isOwn: boolean = false): Flight {
    const name = this.#nameOf(key)
    const flight: Flight = { key, name, isOwn, isStale: false, isTold: false }
    const others = this.#byName.get(name)
    if (others === undefined) this.#byName.set(name, new Set([flight]))
    else others.add(flight)
    return flight
  }

  /** Ends a flight; whether what it brings may be kept. */
  end(flight: Flight): boolean {
    const all = this.#byName.get(flight.name)
    all?.delete(flight)
    if (all?.size === 0) this.#byName.delete(flight.name)
    return !flight.isStale
  }

  /** These keys changed; null: all of them. */
  changed(keys: readonly string[] | null): void {
    if (this.#byName.size === 0) return
    const names = keys?.map(this.#nameOf) ?? this.#byName.keys()
    for (const name of names) for (const flight of this.#byName.get(name) ?? []) flight.isStale = true
  }

  /** A channel tells of changes, our own among them, by its names. */
  told(names: readonly string[]): void {
    for (const name of names) {
      for (const flight of this.#byName.get(name) ?? []) {
        if (flight.isOwn) flight.isTold = true
        else flight.isStale = true
      }
    }
  }
}
