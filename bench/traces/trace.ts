/** What a trace is: which keys were asked for, in order. */

export interface Trace {
  readonly name: string
  /** One line: what asks for what. */
  readonly about: string
  /** The requests for a cache that holds this share of the footprint; most traces are the same for every share. */
  readonly requests: (share: number) => Requests
  /** How many entries that cache has, where it is not the share of the footprint. */
  readonly sizeFor?: (share: number) => number
}

export interface Requests {
  /** Keys as numbers from 0, in the order they were asked for. */
  readonly ids: Uint32Array
  /** How many different keys there are. */
  readonly footprint: number
}

/** Gives keys their numbers, in the order they come. */
export function requestsOf(keys: Iterable<string | number>): Requests {
  const numbers = new Map<string | number, number>()
  const ids: number[] = []
  for (const key of keys) {
    let id = numbers.get(key)
    if (id === undefined) numbers.set(key, (id = numbers.size))
    ids.push(id)
  }
  return { ids: Uint32Array.from(ids), footprint: numbers.size }
}

/** Made once, when first asked for. */
export function always(make: () => Iterable<string | number>): (share: number) => Requests {
  let made: Requests | null = null
  return () => (made ??= requestsOf(make()))
}
