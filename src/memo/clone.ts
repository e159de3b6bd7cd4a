/** What callers get of a value in memory, where it is not the value itself (RELIABILITY 70). */
import { NotStorable } from './value-encode.ts'

/** How a value is put in, and how it is handed out; null: as it is. */
export interface Cloning<V> {
  readonly put: ((value: V) => V) | null
  readonly take: ((value: V) => V) | null
}

export function cloningOf<V>(clone: 'structured' | 'freeze' | false): Cloning<V> {
  if (clone === 'structured') return { put: copyOf, take: copyOf }
  return { put: clone === 'freeze' ? deepFreeze : null, take: null }
}

function copyOf<V>(value: V): V {
  try {
    return structuredClone(value)
  } catch (cause) {
    throw new NotStorable(`the value cannot be copied: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

/** Freezes objects and arrays all the way down. What is in a Map, a Set, a Date or a typed array cannot be frozen, and is left. */
function deepFreeze<V>(value: V): V {
  const queue: unknown[] = [value]
  for (const next of queue) {
    if (typeof next !== 'object' || next === null || Object.isFrozen(next) || ArrayBuffer.isView(next)) continue
    Object.freeze(next)
    for (const name of Reflect.ownKeys(next)) {
      const property = Object.getOwnPropertyDescriptor(next, name)
      if (property && 'value' in property) queue.push(property.value)
    }
  }
  return value
}
