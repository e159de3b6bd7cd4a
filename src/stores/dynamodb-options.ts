/** The options of DynamoStore: what there is, what is checked, and what they come to; and how a URL says them. */
import { nearest, OptionError } from '../errors.ts'
import type { DynamoClientLike } from './dynamodb-client.ts'
import { OUR_ATTRIBUTES } from './dynamodb-names.ts'
import { checkOptions, givenOf, type OptionRule } from './options.ts'

export interface DynamoOptions {
  /** The table: its name, or its ARN. Default `http_cache`. */
  readonly table?: string
  /** A `DynamoDBClient` instead of one of ours. It is not destroyed by the store. */
  readonly client?: DynamoClientLike
  /** Options for `new DynamoDBClient`: region, endpoint, credentials, profile... */
  readonly clientOptions?: Readonly<Record<string, unknown>>
  /** Make the table where it is missing, billed per request. Default false: a table costs money, and may be a typing error. */
  readonly createIfNotExists?: boolean
  /** The table's partition key, a string. Default `key`. */
  readonly keyAttribute?: string
  /** The attribute for bodies. Default `value`. */
  readonly valueAttribute?: string
  /** What the keys of all items begin with. Stores of different namespaces in one table never see each other. Default none. */
  readonly namespace?: string
  /** Give items an expiry time, so that DynamoDB drops what is of no more use. Default true. */
  readonly ttl?: boolean
  /** The attribute for that time, in seconds. Default `ttl`. */
  readonly ttlAttribute?: string
  /** Strongly consistent reads: what any process stored is seen at once, at twice the price of a read. Default true. */
  readonly consistentRead?: boolean
  /** Attempts the client of ours makes for one request, the first included. Default 2. */
  readonly maxAttempts?: number
  /** Milliseconds the client of ours waits for a connection. Default 3000. */
  readonly connectTimeout?: number
  /** Milliseconds to wait for an answer, over all attempts. Default 5000. */
  readonly requestTimeout?: number
  /** Look at the table in the constructor, once: where it is missing or wrong, every use of the store fails. Default false. */
  readonly strict?: boolean
  /** Bodies up to this many bytes are in the item of their entry, longer ones in chunks. Default 256 KiB. */
  readonly inlineSize?: number
  /** Bytes in a chunk of a long body. Default 380 KiB. */
  readonly chunkSize?: number
  /** The largest body in bytes. Default Infinity. */
  readonly maxEntrySize?: number
}

export interface DynamoSettings extends Required<Omit<DynamoOptions, 'client'>> {
  readonly client: DynamoClientLike | null
}

/** DynamoDB takes items of 400 KiB, the names of attributes included; this leaves 4 KiB for names, numbers and key. */
export const LARGEST_VALUE: number = 396 * 1024
const TIMER: readonly [number, number] = [1, 2_147_483_647]
const SIZE: readonly [number, number] = [64, LARGEST_VALUE]

const RULES: Readonly<Record<keyof DynamoOptions, OptionRule>> = {
  table: { type: 'string' },
  client: { type: 'object' },
  clientOptions: { type: 'object' },
  createIfNotExists: { type: 'boolean' },
  keyAttribute: { type: 'string' },
  valueAttribute: { type: 'string' },
  namespace: { type: 'string' },
  ttl: { type: 'boolean' },
  ttlAttribute: { type: 'string' },
  consistentRead: { type: 'boolean' },
  maxAttempts: { type: 'number', range: [1, 100] },
  connectTimeout: { type: 'number', range: TIMER },
  requestTimeout: { type: 'number', range: TIMER },
  strict: { type: 'boolean' },
  inlineSize: { type: 'number', range: [0, LARGEST_VALUE] },
  chunkSize: { type: 'number', range: SIZE },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
}

const DEFAULTS: DynamoSettings = {
  table: 'http_cache',
  client: null,
  clientOptions: {},
  createIfNotExists: false,
  keyAttribute: 'key',
  valueAttribute: 'value',
  namespace: '',
  ttl: true,
  ttlAttribute: 'ttl',
  consistentRead: true,
  maxAttempts: 2,
  connectTimeout: 3000,
  requestTimeout: 5000,
  strict: false,
  inlineSize: 256 * 1024,
  chunkSize: 380 * 1024,
  maxEntrySize: Infinity,
}

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong value, or options that exclude each other
 */
export function settingsOf(given: string | DynamoOptions): DynamoSettings {
  const options = typeof given === 'string' ? { table: given } : given
  checkOptions('DynamoStore', options, RULES)
  const set = givenOf<DynamoOptions>(options)
  if (set.client !== undefined) {
    if (typeof set.client.send !== 'function') throw wrong('client', 'it must be a DynamoDBClient, with a `send`')
    for (const other of ['clientOptions', 'maxAttempts', 'connectTimeout'] as const) {
      if (set[other] !== undefined) throw wrong(other, 'it has no use with `client`, which has its own')
    }
  }
  const settings = { ...DEFAULTS, ...set }
  checkTable(settings.table)
  checkNamespace(settings.namespace)
  checkAttributes(settings)
  return settings
}

function wrong(option: keyof DynamoOptions, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `DynamoStore: \`${option}\`: ${what}.`)
}

function checkTable(table: string): void {
  if (/^[\w.-]{3,255}$/.test(table) || /^arn:[\w-]+:dynamodb:[\w-]*:\d*:table\/[\w.-]{3,255}$/.test(table)) return
  throw wrong('table', 'it must be 3 to 255 letters, digits and any of _ . -, or the ARN of a table')
}

/** A partition key may have 2048 bytes. */
function checkNamespace(namespace: string): void {
  if (namespace.isWellFormed() && Buffer.byteLength(namespace) <= 1024) return
  throw wrong('namespace', 'it must be a text of at most 1024 bytes')
}

function checkAttributes(settings: DynamoSettings): void {
  const taken = new Map<string, string>(OUR_ATTRIBUTES.map((name) => [name, 'an attribute of the store itself']))
  for (const option of ['keyAttribute', 'valueAttribute', 'ttlAttribute'] as const) {
    const name = settings[option]
    const bytes = Buffer.byteLength(name)
    if (bytes === 0 || bytes > 255 || !name.isWellFormed()) throw wrong(option, 'it must be a text of 1 to 255 bytes')
    const other = taken.get(name)
    if (other !== undefined) throw wrong(option, `'${name}' is ${other}; give another name`)
    taken.set(name, `the \`${option}\``)
  }
}

type Parameter = 'endpoint' | 'region' | 'profile' | 'namespace' | 'createIfNotExists'
const PARAMETERS: readonly Parameter[] = ['endpoint', 'region', 'profile', 'namespace', 'createIfNotExists']
const LOCAL = /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/]|$)/
const FORM = 'dynamodb:table?region=eu-central-1'

/**
 * The options that a URL says: `dynamodb:table?region=..&endpoint=..&profile=..&namespace=..&createIfNotExists=true`.
 * @throws OptionError ERR_STORE_URL
 */
export function optionsOfUrl(url: string): DynamoOptions {
  const [, path = '', query = ''] = /^dynamodb:(?:\/\/)?([^?]*)(?:\?(.*))?$/s.exec(url) ?? []
  const table = decoded(path)
  if (table === '') throw wrongUrl(`give ${FORM}`)
  const given = new URLSearchParams(query)
  for (const name of given.keys()) {
    if (PARAMETERS.some((known) => known === name)) continue
    const near = nearest(name, PARAMETERS)
    throw wrongUrl(
      `it has no parameter \`${name}\`; ${near === undefined ? `give ${FORM}` : `did you mean \`${near}\``}`,
    )
  }
  const create = given.get('createIfNotExists') ?? 'false'
  if (create !== 'true' && create !== 'false') throw wrongUrl('`createIfNotExists` is true or false')
  const clientOptions: Record<string, unknown> = localOptions(given.get('endpoint') ?? '')
  for (const name of ['endpoint', 'region', 'profile'] as const) {
    const value = given.get(name)
    if (value !== null) clientOptions[name] = value
  }
  const namespace = given.get('namespace') ?? ''
  return { table, clientOptions, namespace, createIfNotExists: create === 'true' }
}

function isSet(name: string): boolean {
  return (process.env[name] ?? '') !== ''
}

/** DynamoDB Local wants credentials and a region, and does not care which: where the environment has none, these do. */
function localOptions(endpoint: string): Record<string, unknown> {
  if (!LOCAL.test(endpoint)) return {}
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  return {
    ...(isSet('AWS_ACCESS_KEY_ID') || isSet('AWS_PROFILE') ? {} : { credentials }),
    ...(isSet('AWS_REGION') ? {} : { region: 'us-east-1' }),
  }
}

/** Empty where it is no text. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    // A broken escape: no table has such a name.
    return ''
  }
}

function wrongUrl(what: string): OptionError {
  return new OptionError('ERR_STORE_URL', 'store', `This is no URL of a DynamoDB store: ${what}.`)
}
