/**
 * Plain HTTP messages: what every layer below the edges speaks.
 *
 * Rule 1: header names are lower-case; the order and the repetition of lines are kept.
 * Rule 2: values are as received (latin1 or Unicode text), never trimmed lists or parsed forms.
 * Rule 3: bodies are not here: a body is a byte stream and belongs to whoever performs I/O.
 */

/** One header line: a lower-case name and its value as received. */
export type HeaderLine = readonly [name: string, value: string]

/** The header lines of a message in the order received; a name may occur more than once. */
export type HeaderList = readonly HeaderLine[]

/** The head of a request: `url` is absolute, serialised by the WHATWG URL parser, without a fragment. */
export interface RequestHead {
  readonly method: string
  readonly url: string
  readonly headers: HeaderList
}

/** The head of a response. */
export interface ResponseHead {
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderList
}
