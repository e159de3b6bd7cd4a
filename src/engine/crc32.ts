/**
 * CRC-32 (IEEE 802.3, as in zlib): the checksum under every stored entry. It finds rot and torn writes, not forgery.
 *
 * node:zlib's own is used where the runtime has one (it works at memory speed); it is asked for without an import, so that
 * bundles for other runtimes carry no node: module.
 */

type Crc32 = (data: Uint8Array | string, seed?: number) => number

const table = /* @__PURE__ */ makeTable()

function makeTable(): Uint32Array {
  const made = new Uint32Array(256)
  for (let n = 0; n < 256; n++) {
    let c = n
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xed_b8_83_20 ^ (c >>> 1) : c >>> 1
    made[n] = c >>> 0
  }
  return made
}

/**
 * The checksum by table, the same everywhere.
 * @internal
 */
export function crc32ByTable(bytes: Uint8Array, seed: number = 0): number {
  let c = ~seed
  for (let i = 0; i < bytes.length; i++) c = (table[(c ^ (bytes[i] ?? 0)) & 0xff] ?? 0) ^ (c >>> 8)
  return ~c >>> 0
}

function native(): Crc32 | undefined {
  const host = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } }
  const zlib = host.process?.getBuiltinModule?.('node:zlib') as { crc32?: Crc32 } | undefined
  return typeof zlib?.crc32 === 'function' ? zlib.crc32 : undefined
}

const encoder = new TextEncoder()

const best: Crc32 =
  native() ?? ((data, seed) => crc32ByTable(typeof data === 'string' ? encoder.encode(data) : data, seed))

/**
 * The CRC-32 of `bytes`, an unsigned 32-bit integer.
 * @param seed the checksum of what came before, to go on from there
 */
export function crc32(bytes: Uint8Array, seed: number = 0): number {
  return best(bytes, seed)
}

/** The CRC-32 of the UTF-8 bytes of a text without lone surrogates. */
export function crc32Text(text: string, seed: number = 0): number {
  return best(text, seed)
}
