/**
 * Least frequently used, the least recent of those: a chain of buckets, one a frequency, lowest first.
 *
 * The chain is what keeps eviction from scanning: whatever was deleted, the lowest frequency in use is at its start, and one more hit moves
 * an entry to the next bucket or to a new one beside it. A node knows its bucket by `place`; buckets left empty are used again, so that a
 * hit allocates only where there are more frequencies at once than ever before.
 */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'

/** The entries of one frequency. */
interface Bucket {
  frequency: number
  readonly entries: NodeList
  /** Where it stands in `#buckets`. */
  readonly place: number
  lower: Bucket | null
  higher: Bucket | null
}

export class Lfu implements EvictionPolicy {
  readonly #buckets: Bucket[] = []
  #lowest: Bucket | null = null
  /** Empty buckets, chained by `higher`. */
  #spare: Bucket | null = null

  insert(key: string): EvictionNode {
    const node = makeNode(key)
    const first = this.#lowest
    this.#put(node, first?.frequency === 1 ? first : this.#open(1, null, first))
    return node
  }

  hit(node: EvictionNode): void {
    const bucket = this.#buckets[node.place]
    if (bucket === undefined) return
    const wanted = bucket.frequency + 1
    const { higher } = bucket
    if (higher?.frequency === wanted) {
      bucket.entries.remove(node)
      this.#put(node, higher)
    } else if (bucket.entries.size === 1) {
      bucket.frequency = wanted
      return
    } else {
      bucket.entries.remove(node)
      this.#put(node, this.#open(wanted, bucket, higher))
    }
    if (bucket.entries.size === 0) this.#close(bucket)
  }

  remove(node: EvictionNode): void {
    const bucket = this.#buckets[node.place]
    if (bucket === undefined) return
    bucket.entries.remove(node)
    if (bucket.entries.size === 0) this.#close(bucket)
  }

  victim(): EvictionNode | undefined {
    return this.#lowest?.entries.tail ?? undefined
  }

  clear(): void {
    this.#buckets.length = 0
    this.#lowest = null
    this.#spare = null
  }

  #put(node: EvictionNode, bucket: Bucket): void {
    bucket.entries.push(node)
    node.place = bucket.place
  }

  /** A bucket of this frequency, between two neighbours of the chain. */
  #open(frequency: number, lower: Bucket | null, higher: Bucket | null): Bucket {
    const bucket = this.#spare ?? this.#make()
    if (bucket === this.#spare) this.#spare = bucket.higher
    bucket.frequency = frequency
    bucket.lower = lower
    bucket.higher = higher
    if (lower) lower.higher = bucket
    else this.#lowest = bucket
    if (higher) higher.lower = bucket
    return bucket
  }

  #make(): Bucket {
    const bucket = { frequency: 0, entries: new NodeList(), place: this.#buckets.length, lower: null, higher: null }
    this.#buckets.push(bucket)
    return bucket
  }

  #close(bucket: Bucket): void {
    if (bucket.lower) bucket.lower.higher = bucket.higher
    else this.#lowest = bucket.higher
    if (bucket.higher) bucket.higher.lower = bucket.lower
    bucket.lower = null
    bucket.higher = this.#spare
    this.#spare = bucket
  }
}
