/**
 * What is under way between a tiered store's two tiers: a copy that was asked for before a change must not be kept after it.
 */

/** One read or write of the far store. */
export interface Flight {
  readonly key: string
  /** Something changed under its key since it began: what it brings may be old. */
  isStale: boolean
}

export class Flights {
  readonly #byKey = new Map<string, Set<Flight>>()

  start(key: string): Flight {
    const flight: Flight = { key, isStale: false }
    const others = this.#byKey.get(key)
    if (others === undefined) this.#byKey.set(key, new Set([flight]))
    else others.add(flight)
    return flight
  }

  /** Ends a flight; whether what it brings may be kept. */
  end(flight: Flight): boolean {
    const all = this.#byKey.get(flight.key)
    all?.delete(flight)
    if (all?.size === 0) this.#byKey.delete(flight.key)
    return !flight.isStale
  }

  /** These keys changed; null: all of them. */
  changed(keys: readonly string[] | null): void {
    for (const key of keys ?? this.#byKey.keys()) {
      for (const flight of this.#byKey.get(key) ?? []) flight.isStale = true
    }
  }
}
