/** What a test gives to the origin, checked: what it does not know would be lost without a word. */
import { isOptionsObject, nearest, OptionError } from '../../errors.ts'
import type { OriginAnswer, OriginHandler, OriginOptions } from './types.ts'

const ANSWER: { readonly [K in keyof Required<OriginAnswer>]: true } = {
  status: true,
  statusText: true,
  headers: true,
  body: true,
  json: true,
  trailers: true,
  delay: true,
  cut: true,
  empty: true,
  raw: true,
}

const OPTIONS: { readonly [K in keyof Required<OriginOptions>]: true } = { port: true, now: true, bodyLimit: true }

/** @throws OptionError */
export function checkOptions(options: OriginOptions): void {
  checkNames(options, OPTIONS, 'startOrigin takes an object')
}

/** @throws OptionError */
export function checkHandler(handler: unknown, path: string): asserts handler is OriginHandler {
  if (typeof handler !== 'function')
    throw new OptionError('ERR_OPTION_VALUE', 'handler', `the handler for ${path} is a function that returns an answer`)
}

/** @throws OptionError */
export function checkAnswers(answers: unknown, path: string): void {
  if (typeof path !== 'string')
    throw new OptionError('ERR_OPTION_VALUE', 'path', `a script is for '/path' or 'METHOD /path', not ${typeof path}`)
  if (!Array.isArray(answers) || answers.length === 0)
    throw new OptionError('ERR_OPTION_VALUE', 'answers', `the script for ${path} is an array of answers, at least one`)
  for (const answer of answers as readonly unknown[])
    if (typeof answer !== 'function' && !isResponse(answer)) checkAnswer(answer)
}

/**
 * An answer as plain data; a Response is as good, and may be given again.
 * @throws OptionError for what is neither
 */
export async function answerGiven(answer: OriginAnswer | Response): Promise<OriginAnswer> {
  if (isResponse(answer)) {
    const { status, statusText, headers } = answer
    const body = new Uint8Array(await answer.clone().arrayBuffer())
    return { status, ...(statusText === '' ? {} : { statusText }), headers: [...headers], body }
  }
  checkAnswer(answer)
  return answer
}

function checkAnswer(answer: unknown): void {
  checkNames(
    answer,
    ANSWER,
    "an answer is an object such as { status: 200, json: {} }, a Response, or nothing where 'response' was written to",
  )
}

function isResponse(answer: unknown): answer is Response {
  return typeof answer === 'object' && answer !== null && 'arrayBuffer' in answer && 'clone' in answer
}

function checkNames(given: unknown, known: object, form: string): void {
  if (!isOptionsObject(given))
    throw new OptionError('ERR_OPTION_VALUE', 'answer', `${form}, not ${given === null ? 'null' : typeof given}`)
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue
    const near = nearest(name, Object.keys(known))
    const hint = near === undefined ? `known are ${Object.keys(known).join(', ')}` : `did you mean ${near}?`
    throw new OptionError('ERR_OPTION_UNKNOWN', name, `the origin knows no ${name}; ${hint}`)
  }
}
