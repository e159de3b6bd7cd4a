/** What goes wrong in a function of the user's where nobody waits for the result: told as the runtime tells of such things. */
export function warn(code: string, message: string): void {
  const { emitWarning } =
    (globalThis as { process?: { emitWarning?: (warning: string, options: object) => void } }).process ?? {}
  emitWarning?.(`keepfresh: ${message}`, { type: 'KeepfreshWarning', code })
}
