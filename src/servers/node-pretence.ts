/**
 * What a handler finds on a response that holds its answer back: to it, what it has answered with is sent. What it does too late then
 * fails as it would without a cache, and cannot change what is held.
 */
import type { ServerResponse } from 'node:http'
import { phraseOf, setPhrase } from './node-before.ts'
import { coded } from './node-given.ts'

/** What node:http itself goes by. */
const HEADER = '_header'

type Native = ServerResponse & { [HEADER]?: unknown; finished: boolean; outputSize: number }

/** A head that is not there yet. */
const HELD = 'held\r\n'

export interface Pretence {
  /** The handler has ended its answer. */
  ended(): void
  /** Nothing is pretended any more: what is held can be sent. */
  drop(): void
}

/** @returns null: it is pretended already, or the response says so itself */
export function pretend(response: ServerResponse): Pretence | null {
  if (Object.hasOwn(response, 'headersSent')) return null
  const { statusCode } = response
  const phrase = phraseOf(response)
  const restore = Object.hasOwn(response, HEADER) ? byState(response as Native) : byProperties(response)
  return {
    ended: restore.ended,
    drop: () => {
      restore.drop()
      response.statusCode = statusCode
      setPhrase(response, phrase)
    },
  }
}

/** node's own methods ask these two: whether there is a head, and whether all was said. */
function byState(response: Native): Pretence {
  response[HEADER] = HELD
  let held = 0
  return {
    ended: () => {
      response.finished = true
      // With nothing on its way it would be made out to have left. Not by a property of its own: one that is deleted again makes the
      // response slow, and whatever node does with any other from then on.
      held = HELD.length
      response.outputSize += held
    },
    drop: () => {
      if (response[HEADER] === HELD) response[HEADER] = null
      response.finished = false
      // Node counts anew where it has sent something meanwhile (a 100).
      response.outputSize = Math.max(0, response.outputSize - held)
      held = 0
    },
  }
}

/** What changes a head. */
const CHANGES = ['setHeader', 'appendHeader', 'removeHeader'] as const

function tooLate(): never {
  throw coded(new Error('Response has already been initiated'), 'ERR_HTTP2_HEADERS_SENT')
}

/** HTTP/2 keeps them to itself. */
function byProperties(response: ServerResponse): Pretence {
  let ended = false
  const known = CHANGES.map((name) => [name, Object.getOwnPropertyDescriptor(response, name)] as const)
  Object.defineProperty(response, 'headersSent', { get: () => true, configurable: true })
  Object.defineProperty(response, 'writableEnded', { get: () => ended, configurable: true })
  for (const name of CHANGES)
    Object.defineProperty(response, name, { value: tooLate, configurable: true, writable: true })
  return {
    ended: () => void (ended = true),
    drop: () => {
      Reflect.deleteProperty(response, 'headersSent')
      Reflect.deleteProperty(response, 'writableEnded')
      for (const [name, own] of known) {
        if (own === undefined) Reflect.deleteProperty(response, name)
        else Object.defineProperty(response, name, own)
      }
    },
  }
}
