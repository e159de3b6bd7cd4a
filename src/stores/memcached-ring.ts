/**
 * Consistent hashing: which server has a key.
 *
 * Every server has POINTS places on a ring of 32-bit numbers; a key belongs to the next place at or after its own. A server that is
 * added or removed moves only the keys next to its places: 1/n of them. The places come from names alone, so that all processes
 * that name the same servers, in whatever order, agree.
 */
import { hash } from 'node:crypto'

/** As many places a server as ketama has. */
const POINTS = 160
const BYTES = 4

export class HashRing {
  readonly #points: Uint32Array
  /** For each point, the index of its server. */
  readonly #owners: Uint16Array

  /** @param names one for each server, none twice */
  constructor(names: readonly string[]) {
    const points = names.flatMap((name, server) => pointsOf(name).map((point) => ({ point, server, name })))
    // Where two points coincide, the order of the names decides, not that of the arguments.
    points.sort((a, b) => a.point - b.point || (a.name < b.name ? -1 : 1))
    this.#points = Uint32Array.from(points, ({ point }) => point)
    this.#owners = Uint16Array.from(points, ({ server }) => server)
  }

  /** The index of the server that has the key. */
  indexOf(key: string): number {
    // As text of a character a byte: a Buffer costs twice as much as the hash.
    const digest = hash('sha256', key, 'binary')
    let place = 0
    for (let at = 0; at < BYTES; at++) place = place * 256 + digest.charCodeAt(at)
    let from = 0
    let to = this.#points.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.#points[middle] ?? 0) < place) from = middle + 1
      else to = middle
    }
    // After the last point comes the first.
    return this.#owners[from] ?? this.#owners[0] ?? 0
  }
}

function pointsOf(name: string): number[] {
  const points: number[] = []
  for (let n = 0; points.length < POINTS; n++) {
    const digest = hash('sha256', `${name}#${n}`, 'buffer')
    for (let at = 0; at < digest.length; at += BYTES) points.push(digest.readUInt32BE(at))
  }
  return points
}
