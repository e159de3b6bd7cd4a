/** Types of bytes, as keys (argument-key.ts) and stored values (value-*.ts) know them. */

type Bytes = ArrayBufferView | ArrayBuffer
type MakeBytes = (bytes: Uint8Array<ArrayBuffer>) => Bytes

interface ByteType {
  readonly prototype: object
  /** Bytes an element. */
  readonly width: number
  /** Makes one of a copy of its own. */
  readonly make: MakeBytes
}

interface ViewType {
  new (buffer: ArrayBuffer, offset: number, length: number): ArrayBufferView
  readonly prototype: object
  readonly BYTES_PER_ELEMENT?: number
}

interface NodeBuffer {
  from(buffer: ArrayBuffer, offset: number, length: number): Uint8Array
  readonly prototype: object
}

const VIEWS = [
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]

/** By name; those that this runtime has. */
export const BYTE_TYPES: ReadonlyMap<string, ByteType> = new Map([
  ['ArrayBuffer', { prototype: ArrayBuffer.prototype, width: 1, make: ({ buffer }) => buffer }],
  ...VIEWS.flatMap((name): [string, ByteType][] => {
    const type = Reflect.get(globalThis, name) as ViewType | undefined
    if (type === undefined) return []
    const width = type.BYTES_PER_ELEMENT ?? 1
    const make: MakeBytes = (bytes) => new type(bytes.buffer, 0, bytes.length / width)
    return [[name, { prototype: type.prototype, width, make }]]
  }),
  ['Buffer', bufferType((globalThis as { Buffer?: NodeBuffer }).Buffer)],
])

/** Where there is no Buffer, a Uint8Array is what comes nearest. */
function bufferType(type: NodeBuffer | undefined): ByteType {
  if (type === undefined) return { prototype: {}, width: 1, make: (bytes) => bytes }
  return { prototype: type.prototype, width: 1, make: ({ buffer, length }) => type.from(buffer, 0, length) }
}

const NAMES = new Map<unknown, string>(Array.from(BYTE_TYPES, ([name, { prototype }]) => [prototype, name]))

/** The name of the type of bytes with this prototype; undefined: it is none. */
export function byteTypeOf(prototype: unknown): string | undefined {
  return NAMES.get(prototype)
}

/** What a view shows, not the buffer behind it: a slice of a large buffer is a small one. */
export function bytesOf(value: object): Uint8Array {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  const buffer = value as ArrayBuffer
  // Its length is asked of it: what only looks like a buffer has none, and says so by a TypeError.
  return new Uint8Array(buffer, 0, buffer.byteLength)
}
