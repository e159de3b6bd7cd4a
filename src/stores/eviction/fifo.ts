/** First in, first out: hits count for nothing. */
import { Lru } from './lru.ts'

export class Fifo extends Lru {
  override hit(): void {
    // What was used is no younger for it.
  }
}
