/**
 * Waiting times of any length.
 *
 * Rule 1: setTimeout knows no more than 2^31 - 1 ms and fires at once beyond it: longer waits are that long (RELIABILITY 160).
 * Rule 2: a timer keeps the process alive only where a caller waits for what it ends (RELIABILITY 161).
 */

/** The longest wait a timer knows, in ms: 24.8 days. */
export const LONGEST_WAIT = 2_147_483_647

export type Timer = ReturnType<typeof setTimeout>

/** Calls `action` after `ms`; a caller waits for that. */
export function after(ms: number, action: () => void): Timer {
  return setTimeout(action, Math.min(ms, LONGEST_WAIT))
}

/** As `after`, where nobody waits: the process may end before. */
export function quietlyAfter(ms: number, action: () => void): Timer {
  return quiet(after(ms, action))
}

/** A timer that keeps no process alive, where the runtime knows such. */
export function quiet<T>(timer: T): T {
  ;(timer as { unref?: () => void }).unref?.()
  return timer
}

/** Waits for a promise, but not longer than `ms`: what comes of it later is nobody's affair here. It must not reject. */
export async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: Timer | undefined
  await Promise.race([promise, new Promise<void>((resolve) => (timer = after(ms, resolve)))])
  clearTimeout(timer)
}

/**
 * What is made of a promise's value, or of its failure: its own, that of `answered`, or that it takes longer than `ms`. One promise and one
 * timer, since every hit of a server pays for them.
 */
export function settledInTime<T, U>(
  result: Promise<T>,
  ms: number,
  made: {
    readonly answered: (value: T) => U
    readonly failed: (error: unknown) => U
    readonly late: () => Error
  },
): Promise<U> {
  return new Promise<U>((resolve) => {
    let isOver = false
    const settle = (outcome: () => U): void => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      try {
        resolve(outcome())
      } catch (error) {
        resolve(made.failed(error))
      }
    }
    const timer = after(ms, () => settle(() => made.failed(made.late())))
    result.then(
      (value) => settle(() => made.answered(value)),
      (error: unknown) => settle(() => made.failed(error)),
    )
  })
}

/** A promise, or a rejection with `late()` where it takes longer than `ms`. */
export function inTime<T>(result: Promise<T>, ms: number, timer: typeof after, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const running = timer(ms, () => reject(late()))
    result.then(
      (value) => {
        clearTimeout(running)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(running)
        reject(error)
      },
    )
  })
}
