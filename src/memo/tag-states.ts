/**
 * Tags of the table in memory: invalidating one is one assignment, however many entries carry it, and a tag nothing carries takes no room.
 */
import type { InvalidateMode } from './entry.ts'

export interface TagState {
  readonly tag: string
  /** How many entries carry it. */
  carriers: number
  /** Entries asked for before this instant are gone. */
  goneBefore: number
  /** Entries asked for before this instant are stale. */
  staleBefore: number
}

export class TagStates {
  readonly #states = new Map<string, TagState>()

  get size(): number {
    return this.#states.size
  }

  attach(tags: readonly string[]): readonly TagState[] | null {
    if (tags.length === 0) return null
    return Array.from(new Set(tags), (tag) => {
      let state = this.#states.get(tag)
      if (state === undefined) {
        state = { tag, carriers: 0, goneBefore: -Infinity, staleBefore: -Infinity }
        this.#states.set(tag, state)
      }
      state.carriers += 1
      return state
    })
  }

  detach(states: readonly TagState[] | null): void {
    if (states === null) return
    for (const state of states) if (--state.carriers === 0) this.#states.delete(state.tag)
  }

  clear(): void {
    this.#states.clear()
  }

  invalidate(tag: string, mode: InvalidateMode, at: number): void {
    const state = this.#states.get(tag)
    if (state === undefined) return
    if (mode === 'delete') state.goneBefore = at
    else state.staleBefore = at
  }
}
