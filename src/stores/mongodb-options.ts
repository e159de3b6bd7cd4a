/** The options of MongoStore: what there is, what is checked, and what they come to. */
import { OptionError } from '../errors.ts'
import type { MongoClientLike } from './mongodb-driver.ts'
import { checkOptions, givenOf, type OptionRule } from './options.ts'

/** What MongoStore takes; sizes are in bytes, times in milliseconds. */
export interface MongoOptions {
  /**
   * `mongodb://user:password@host:port/database` or `mongodb+srv://...`; options of the driver may follow, and `collection=name`.
   * Default: localhost, port 27017.
   */
  readonly url?: string
  /** A `MongoClient` of the package `mongodb` (6 or later), instead of one of ours. It is not closed by the store. */
  readonly client?: MongoClientLike
  /** The database. Default: the one in the URL, or else `http_cache`. */
  readonly database?: string
  /** The collection of entries; `<collection>.chunks` and `<collection>.locks` are beside it. Default `entries`. */
  readonly collection?: string
  /** Give entries a date in an index by which the server removes what is of no more use. Default true. */
  readonly ttl?: boolean
  /** More options for the driver's `MongoClient`. */
  readonly clientOptions?: Readonly<Record<string, unknown>>
  /** Milliseconds to look for a server and to connect to it. Default 2000. */
  readonly connectTimeout?: number
  /** Milliseconds to wait for an answer. Default 5000. */
  readonly commandTimeout?: number
  /** A client of ours is closed when it was not used for so many milliseconds and nothing else is going on. Default 5000. */
  readonly idleTimeout?: number
  /** Connect in the constructor, once: where that fails, every use of the store does. Default false. */
  readonly strict?: boolean
  /** Bodies up to this many bytes are in the document of their entry, longer ones in chunks. Default 64 KiB. */
  readonly inlineSize?: number
  /** Bytes in a chunk of a long body. Default 512 KiB. */
  readonly chunkSize?: number
  /** The largest body in bytes. Default Infinity. */
  readonly maxEntrySize?: number
}

export interface MongoSettings extends Required<Omit<MongoOptions, 'client'>> {
  readonly client: MongoClientLike | null
}

const TIMER: readonly [number, number] = [1, 2_147_483_647]
/** A document holds 16 MB, of which its metadata needs some. */
const LARGEST = 15 * 1024 * 1024

const RULES: Readonly<Record<keyof MongoOptions, OptionRule>> = {
  url: { type: 'string' },
  client: { type: 'object' },
  database: { type: 'string' },
  collection: { type: 'string' },
  ttl: { type: 'boolean' },
  clientOptions: { type: 'object' },
  connectTimeout: { type: 'number', range: TIMER },
  commandTimeout: { type: 'number', range: TIMER },
  idleTimeout: { type: 'number', range: [1, Infinity] },
  strict: { type: 'boolean' },
  inlineSize: { type: 'number', range: [0, LARGEST] },
  chunkSize: { type: 'number', range: [64, LARGEST] },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
}

const DEFAULTS = {
  url: 'mongodb://localhost:27017',
  collection: 'entries',
  ttl: true,
  clientOptions: {},
  connectTimeout: 2000,
  commandTimeout: 5000,
  idleTimeout: 5000,
  strict: false,
  inlineSize: 64 * 1024,
  chunkSize: 512 * 1024,
  maxEntrySize: Infinity,
}

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong value, or options that exclude each other
 */
export function settingsOf(given: string | MongoOptions): MongoSettings {
  const options = typeof given === 'string' ? { url: given } : given
  checkOptions('MongoStore', options, RULES)
  const set = givenOf<MongoOptions>(options)
  if (set.client !== undefined) checkClient(set.client, set)
  const named = set.url === undefined ? {} : partsOf(set.url)
  const settings = { ...DEFAULTS, database: 'http_cache', ...named, ...set, client: set.client ?? null }
  checkDatabase(settings.database)
  checkCollection(settings.collection)
  return { ...settings, url: named.url ?? settings.url }
}

/** What a URL says besides where the server is. The URL is in no message: it may have a password in it. */
function partsOf(url: string): Pick<MongoOptions, 'url' | 'database' | 'collection'> {
  const found = /^(mongodb(?:\+srv)?:\/\/[^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url)
  if (found === null) {
    throw wrong('url', 'it must be mongodb://host:port/database or mongodb+srv://host/database')
  }
  const [, server = '', path = '', query = ''] = found
  const ours = /^collection=/
  const all = query.split('&').filter((part) => part !== '')
  const collection = all.find((part) => ours.test(part))?.replace(ours, '')
  const rest = all.filter((part) => !ours.test(part))
  return {
    url: `${server}/${path}${rest.length === 0 ? '' : `?${rest.join('&')}`}`,
    ...(path === '' ? {} : { database: decoded(path) }),
    ...(collection === undefined ? {} : { collection: decoded(collection) }),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('url', 'its database or collection is not percent-encoded as it should be')
  }
}

function wrong(option: keyof MongoOptions, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `MongoStore: \`${option}\`: ${what}.`)
}

function checkClient(client: MongoClientLike, { url, clientOptions }: MongoOptions): void {
  if (url !== undefined) throw wrong('client', 'give one of `url` and `client`')
  if (clientOptions !== undefined) throw wrong('clientOptions', 'they have no use with `client`, which has its own')
  if (typeof client.db !== 'function' || typeof client.connect !== 'function') {
    throw wrong('client', 'it must be a MongoClient of the package `mongodb`')
  }
}

function checkDatabase(name: string): void {
  if (name !== '' && !/[/\\. "$*<>:|?\0]/.test(name) && name.isWellFormed() && Buffer.byteLength(name) < 64) return
  throw wrong('database', 'it must have 1 to 63 bytes and none of / \\ . " $ * < > : | ? or a space')
}

function checkCollection(name: string): void {
  const isName = name !== '' && !/[$\0]|^\.|\.$|^system\./.test(name) && name.isWellFormed()
  if (!isName || Buffer.byteLength(name) > 120) {
    throw wrong('collection', 'it must have 1 to 120 bytes, no $, no . at its ends, and not begin with `system.`')
  }
  if (/\.(chunks|locks)$/.test(name)) throw wrong('collection', '`.chunks` and `.locks` are the ends of our own names')
}
