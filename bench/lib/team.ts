/** Processes that are told the same things at the same time, and answer: the team of a herd. */
import { fork, type ChildProcess, type Serializable } from 'node:child_process'
import { once } from 'node:events'
import { within } from './attempt.ts'

/** ms for an answer. */
const PATIENCE = 60_000

export class Team<Answer extends object> {
  readonly #children: readonly ChildProcess[]
  readonly #exits: readonly Promise<unknown>[]

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children
    this.#exits = children.map((child) => once(child, 'exit'))
  }

  /** Starts `size` processes of the script and waits until each says 'ready'. What they print is nobody's: what they throw, they say. */
  static async start<Answer extends object>(script: URL, order: object, size: number): Promise<Team<Answer>> {
    const children = Array.from({ length: size }, () =>
      fork(script, [JSON.stringify(order)], { execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }),
    )
    const team = new Team<Answer>(children)
    try {
      await Promise.all(children.map((child) => team.#answer(child)))
    } catch (error) {
      team.kill()
      throw error
    }
    return team
  }

  /** Tells all of them at once; their answers. */
  async ask(call: Serializable): Promise<Answer[]> {
    const answers = this.#children.map((child) => this.#answer(child))
    for (const child of this.#children) child.send(call)
    return Promise.all(answers)
  }

  /** Tells them that it is over, and waits until they have gone. */
  async end(): Promise<void> {
    for (const child of this.#children) child.send('end')
    await within(Promise.all(this.#exits), PATIENCE)
  }

  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }

  async #answer(child: ChildProcess): Promise<Answer> {
    const gone = new AbortController()
    const died = once(child, 'exit', { signal: gone.signal }).then(() => {
      throw new Error('a process of the herd ended')
    })
    try {
      const said = once(child, 'message', { signal: gone.signal }) as Promise<[Answer | { failure: string }]>
      const [answer] = await within(Promise.race([said, died]), PATIENCE)
      if ('failure' in Object(answer)) throw new Error((answer as { failure: string }).failure)
      return answer as Answer
    } finally {
      gone.abort()
      died.catch(() => undefined)
    }
  }
}
