/**
 * Structured fields (RFC 9651), the part caching needs: dictionaries, lists and items, with inner lists and parameters.
 * Parsing is strict: any error makes the whole field null, as section 4.2 demands.
 */

export type BareItem =
  | { readonly type: 'integer' | 'decimal' | 'date'; readonly value: number }
  | { readonly type: 'string' | 'token' | 'binary' | 'display'; readonly value: string }
  | { readonly type: 'boolean'; readonly value: boolean }

export type Parameters = ReadonlyMap<string, BareItem>

export interface Item {
  readonly item: BareItem
  readonly parameters: Parameters
}

export interface InnerList {
  readonly items: readonly Item[]
  readonly parameters: Parameters
}

export type Member = Item | InnerList

export function isInnerList(member: Member): member is InnerList {
  return 'items' in member
}

export function parseDictionary(value: string): ReadonlyMap<string, Member> | null {
  return attempt(value, (parser) => parser.dictionary())
}

export function parseList(value: string): readonly Member[] | null {
  return attempt(value, (parser) => parser.list())
}

export function parseItem(value: string): Item | null {
  return attempt(value, (parser) => parser.item())
}

function attempt<T>(value: string, parse: (parser: Parser) => T): T | null {
  const parser = new Parser(value)
  try {
    parser.spaces()
    const result = parse(parser)
    parser.spaces()
    return parser.atEnd ? result : null
  } catch (error) {
    if (error instanceof FieldSyntaxError) return null
    throw error
  }
}

class FieldSyntaxError extends Error {}

const TRUE: BareItem = { type: 'boolean', value: true }

class Parser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  spaces(): void {
    while (this.#text[this.#at] === ' ') this.#at += 1
  }

  #ows(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at += 1
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) throw new FieldSyntaxError()
    this.#at += found.length
    return found
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at += 1
    return true
  }

  dictionary(): Map<string, Member> {
    const members = new Map<string, Member>()
    while (!this.atEnd) {
      const key = this.#key()
      const member = this.#take('=') ? this.#member() : { item: TRUE, parameters: this.#parameters() }
      members.set(key, member)
      if (!this.#next()) break
    }
    return members
  }

  list(): Member[] {
    const members: Member[] = []
    while (!this.atEnd) {
      members.push(this.#member())
      if (!this.#next()) break
    }
    return members
  }

  /** Past a comma; false at the end; a trailing comma is an error. */
  #next(): boolean {
    this.#ows()
    if (this.atEnd) return false
    if (!this.#take(',')) throw new FieldSyntaxError()
    this.#ows()
    if (this.atEnd) throw new FieldSyntaxError()
    return true
  }

  #key(): string {
    return this.#match(/[a-z*][a-z0-9_.*-]*/y)
  }

  #member(): Member {
    if (!this.#take('(')) return this.item()
    const items: Item[] = []
    for (;;) {
      this.spaces()
      if (this.#take(')')) return { items, parameters: this.#parameters() }
      items.push(this.item())
      if (this.#text[this.#at] !== ' ' && this.#text[this.#at] !== ')') throw new FieldSyntaxError()
    }
  }

  item(): Item {
    return { item: this.#bareItem(), parameters: this.#parameters() }
  }

  #parameters(): Parameters {
    const parameters = new Map<string, BareItem>()
    while (this.#take(';')) {
      this.spaces()
      const key = this.#key()
      parameters.set(key, this.#take('=') ? this.#bareItem() : TRUE)
    }
    return parameters
  }

  #bareItem(): BareItem {
    const char = this.#text[this.#at] ?? ''
    if (char === '"') return { type: 'string', value: this.#string() }
    if (char === '?') return { type: 'boolean', value: this.#match(/\?[01]/y) === '?1' }
    if (char === ':') return { type: 'binary', value: this.#binary() }
    if (char === '@') return { type: 'date', value: Number(this.#match(/@-?\d{1,15}/y).slice(1)) }
    if (char === '%') return { type: 'display', value: this.#display() }
    if (/[-0-9]/.test(char)) return this.#number()
    return { type: 'token', value: this.#match(/[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*/y) }
  }

  #number(): BareItem {
    const text = this.#match(/-?\d+(?:\.\d*)?/y)
    const [integer = '', fraction] = text.replace('-', '').split('.')
    if (fraction === undefined) {
      if (integer.length > 15) throw new FieldSyntaxError()
      return { type: 'integer', value: Number(text) }
    }
    if (integer.length > 12 || fraction.length === 0 || fraction.length > 3) throw new FieldSyntaxError()
    return { type: 'decimal', value: Number(text) }
  }

  /** Section 4.2.7: base64; that padding is missing is no fault. */
  #binary(): string {
    const encoded = this.#match(/:[A-Za-z0-9+/]*={0,2}:/y).slice(1, -1)
    const over = encoded.length % 4
    // Six bits are no byte; and where there is padding, it fills up.
    if (over === 1 || (over !== 0 && encoded.endsWith('='))) throw new FieldSyntaxError()
    return encoded
  }

  /** Section 4.2.10: percent-encoded UTF-8, in lower-case digits. */
  #display(): string {
    const raw = this.#match(/%"(?:[ !#$&-~]|%[0-9a-f]{2})*"/y)
    try {
      return decodeURIComponent(raw.slice(2, -1))
    } catch {
      // The bytes are not UTF-8: the field fails.
      throw new FieldSyntaxError()
    }
  }

  #string(): string {
    const raw = this.#match(/"(?:[ !#-[\]-~]|\\["\\])*"/y)
    return raw.slice(1, -1).replaceAll(/\\(["\\])/g, '$1')
  }
}

/** A string as sf-string; characters it cannot hold are replaced by '?'. */
export function serializeString(value: string): string {
  return `"${value.replaceAll(/[^ -~]/g, '?').replaceAll(/(["\\])/g, '\\$1')}"`
}

/** A token where the value is one, else a string. */
export function serializeName(value: string): string {
  return /^[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*$/.test(value) ? value : serializeString(value)
}
