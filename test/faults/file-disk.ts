/** A disk that fails: node:fs in which the n-th call, or every call from then on, ends with an error. */
import * as nodeFs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FileSystem } from '../../src/stores/file.ts'

/** A new folder, on a disk in memory where there is one: these tests make tens of thousands of files. */
export function newFolder(name: string): string {
  return nodeFs.mkdtempSync(join(nodeFs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `keepfresh-${name}-`))
}

/** 'once': that call fails, without effect. 'late': it fails after it took effect. 'dead': it and all that follow fail. */
export type DiskFault = 'once' | 'late' | 'dead'

export class FaultyDisk {
  /** Calls so far. */
  calls = 0
  /** The name of the call that failed first. */
  failed: string | null = null
  readonly fs: FileSystem
  readonly #at: number
  readonly #code: string
  readonly #fault: DiskFault

  constructor(at: number, code: string, fault: DiskFault) {
    this.#at = at
    this.#code = code
    this.#fault = fault
    this.fs = new Proxy(nodeFs, { get: (target, name) => this.#wrapped(String(name), Reflect.get(target, name)) })
  }

  #wrapped(name: string, original: unknown): unknown {
    if (typeof original !== 'function') return original
    return (...args: unknown[]): unknown => {
      const fails = this.#fails()
      if (!fails) return original(...args) as unknown
      this.failed ??= name
      const error = Object.assign(new Error(`${this.#code}: injected, ${name}`), { code: this.#code })
      const done = args.at(-1)
      if (typeof done !== 'function') {
        if (this.#fault === 'late') original(...args)
        throw error
      }
      if (this.#fault === 'late') original(...args.slice(0, -1), () => done(error))
      else if (name === 'close') original(args[0], () => done(error))
      else setImmediate(() => done(error))
      return undefined
    }
  }

  #fails(): boolean {
    this.calls += 1
    return this.#fault === 'dead' ? this.calls >= this.#at : this.calls === this.#at
  }
}
