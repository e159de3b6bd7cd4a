/**
 * Asks a server what it is, by a plain socket and a hand-written request, so that no client library stands between a
 * failing test and the server it blames. Each probe answers `name version` or rejects; none retries.
 */
import { connect } from 'node:net'
import type { Kind } from './kinds.ts'

/** Milliseconds a server may take to answer one probe. */
const PROBE_MS = 5_000
/** What a probe says in place of a version that the server does not tell. */
export const UNKNOWN_VERSION = '(version unknown)'
/** The first byte of a RESP bulk string, and of an error. */
const BULK = 0x24
const ERROR = 0x2d

/**
 * Sends bytes and reads until `isWhole` says that the answer is complete.
 *
 * @throws Error when the connection fails, ends early, or `PROBE_MS` pass.
 */
export function exchange(
  host: string,
  port: number,
  request: string | Uint8Array,
  isWhole: (answer: Buffer) => boolean,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let answer: Buffer = Buffer.alloc(0)
    const fail = (error: Error): void => {
      socket.destroy()
      reject(error)
    }
    socket.setTimeout(PROBE_MS, () => fail(new Error(`no answer from ${host}:${port} in ${PROBE_MS} ms`)))
    socket.once('error', fail)
    socket.once('close', () => fail(new Error(`${host}:${port} closed the connection before it had answered`)))
    socket.once('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      if (!isWhole(answer)) return
      resolve(answer)
      socket.destroy()
    })
  })
}

/** One RESP command as an array of bulk strings. */
export function resp(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}

/** The bytes of a RESP bulk string whose length line ends at `line`; -1 for null, which has none. */
function bulkLength(answer: Buffer, line: number): number {
  return Number(answer.toString('latin1', 1, line))
}

function isWholeReply(answer: Buffer): boolean {
  const line = answer.indexOf('\r\n')
  if (line < 0) return false
  const length = answer[0] === BULK ? bulkLength(answer, line) : -1
  return length < 0 || answer.length >= line + 4 + length
}

/**
 * Sends one Redis command whose answer is a simple or a bulk string, or an integer; answers its text, '' for null.
 *
 * @throws Error with the server's own words when it answers an error.
 */
export async function redisCommand(host: string, port: number, ...words: readonly string[]): Promise<string> {
  const answer = await exchange(host, port, resp(...words), isWholeReply)
  const line = answer.indexOf('\r\n')
  if (answer[0] === ERROR) throw new Error(`${host}:${port} answered ${answer.toString('utf8', 1, line)}`)
  if (answer[0] !== BULK) return answer.toString('utf8', 1, line)
  return answer.toString('utf8', line + 2, line + 2 + Math.max(0, bulkLength(answer, line)))
}

async function redisVersion(host: string, port: number): Promise<string> {
  const info = await redisCommand(host, port, 'INFO', 'server')
  const field = (name: string): string | undefined => new RegExp(`^${name}:(.*)\r?$`, 'm').exec(info)?.[1]?.trim()
  const valkey = field('valkey_version')
  if (valkey !== undefined) return `valkey ${valkey}`
  const dragonfly = field('dragonfly_version')
  if (dragonfly !== undefined) return `dragonfly ${dragonfly.replace(/^df-v?/, '')}`
  return `redis ${field('redis_version') ?? UNKNOWN_VERSION}`
}

async function clusterVersion(host: string, port: number): Promise<string> {
  const state = await redisCommand(host, port, 'CLUSTER', 'INFO')
  if (!state.includes('cluster_state:ok')) throw new Error(`the cluster at ${host}:${port} is not ok`)
  return redisVersion(host, port)
}

async function memcachedVersion(host: string, port: number): Promise<string> {
  const answer = await exchange(host, port, 'version\r\n', (bytes) => bytes.includes('\r\n'))
  const version = /^VERSION (\S+)/.exec(answer.toString('latin1'))?.[1]
  if (version === undefined) throw new Error(`${host}:${port} does not speak memcached's text protocol`)
  return `memcached ${version}`
}

/** The emulator never says its version over HTTP: the starter, which knows the jar, does. */
async function dynamodbVersion(host: string, port: number): Promise<string> {
  const body = '{}'
  const request = [
    'POST / HTTP/1.1',
    `Host: ${host}:${port}`,
    'Content-Type: application/x-amz-json-1.0',
    'X-Amz-Target: DynamoDB_20120810.ListTables',
    // The emulator wants the form of a signature and does not verify it.
    'Authorization: AWS4-HMAC-SHA256 Credential=probe/20240101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ]
  const answer = await exchange(host, port, `${request.join('\r\n')}\r\n\r\n${body}`, (bytes) =>
    bytes.includes('"TableNames"'),
  )
  if (!answer.toString('latin1').startsWith('HTTP/1.1 200')) throw new Error(`${host}:${port} is no DynamoDB`)
  return `DynamoDB Local ${UNKNOWN_VERSION}`
}

function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}

/** An OP_MSG of `{ [command]: 1, $db: 'admin' }`. */
export function mongoMessage(command: string): Buffer {
  const database = 'admin'
  const one = [Buffer.from([0x10]), cstring(command), int32(1)]
  const where = [Buffer.from([0x02]), cstring('$db'), int32(database.length + 1), cstring(database)]
  const fields = Buffer.concat([...one, ...where, Buffer.from([0])])
  const document = Buffer.concat([int32(fields.length + 4), fields])
  // Request id, response to, opcode, flags, one section of kind 0.
  const rest = Buffer.concat([int32(1), int32(0), int32(2013), int32(0), Buffer.from([0]), document])
  return Buffer.concat([int32(rest.length + 4), rest])
}

function isWholeMessage(bytes: Buffer): boolean {
  return bytes.length >= 4 && bytes.length >= bytes.readInt32LE(0)
}

/** Sends one command to the `admin` database and answers the raw message. */
export function mongoCommand(host: string, port: number, command: string): Promise<Buffer> {
  return exchange(host, port, mongoMessage(command), isWholeMessage)
}

async function mongodbVersion(host: string, port: number): Promise<string> {
  const answer = await mongoCommand(host, port, 'buildInfo')
  const field = (name: string): string | undefined => {
    const mark = Buffer.from(`\x02${name}\0`, 'latin1')
    const at = answer.indexOf(mark)
    if (at < 0) return undefined
    const start = at + mark.length
    return answer.toString('utf8', start + 4, start + 4 + answer.readInt32LE(start) - 1)
  }
  const version = field('version')
  if (version === undefined) throw new Error(`${host}:${port} does not speak MongoDB's protocol`)
  const ferret = field('ferretdbVersion')
  if (ferret === undefined) return `MongoDB ${version}`
  // Embedded in another program it answers 'unknown'.
  return `FerretDB ${ferret === 'unknown' ? UNKNOWN_VERSION : ferret.replace(/^v/, '')} as MongoDB ${version}`
}

const PROBES: Readonly<Record<Kind, (host: string, port: number) => Promise<string>>> = {
  redis: redisVersion,
  'redis-cluster': clusterVersion,
  memcached: memcachedVersion,
  dynamodb: dynamodbVersion,
  mongodb: mongodbVersion,
}

/**
 * What answers at `host:port`, as `name version`.
 *
 * @throws Error when nothing answers there, or something else does.
 * @example await probe('redis', '127.0.0.1:6379') // 'redis 7.0.15'
 */
export function probe(kind: Kind, server: string): Promise<string> {
  const colon = server.lastIndexOf(':')
  return PROBES[kind](server.slice(0, colon), Number(server.slice(colon + 1)))
}
