/** Contenders may throw, or never answer: what that is called in a report, and a limit to waiting. */

/** The promise's value, or an error when it takes longer than `ms`. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${Math.round(ms / 1000)} s`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

const LONGEST = 160

/** One line that says what went wrong, short enough for a table; without the paths of this machine. */
export function messageOf(error: unknown): string {
  const { message, code } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { message: String(error), code: undefined }
  const [line = ''] = message.split('\n')
  const said = line
    .replaceAll(/(?:file:\/\/)?\/[\w.@-]+(?:\/[\w.@ -]+)+/g, (path) => path.split('/').at(-1) ?? '')
    .trim()
  const text = said === '' ? (code ?? 'an error without a message') : said
  return (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text).replaceAll('|', '/')
}

/** How a table marks whoever did not get to the end. */
export const FAILS = '**fails**'
