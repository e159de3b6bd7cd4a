/**
 * The format of stored values, as writer (value-encode.ts) and reader (value-decode.ts) share it.
 *
 * A frame is one byte that says the form, and then
 *   J: the value as JSON, where JSON says all there is to say (the fast way: most values are plain data);
 *   T: u32 length of a table in JSON (little-endian), the table, and the bytes of all binary values one after the other.
 *
 * The table is a list of nodes; the first is the value. A string, a finite number, a boolean or null stands for itself. Anything else is
 * a list: a tag, and what the tag needs; other nodes are named by their position, so that a value may contain itself.
 *
 *   ['u']                         undefined              ['#', text]                   -0, NaN, Infinity, -Infinity
 *   ['i', text]                   bigint                 ['d', ms | null]              Date (null: invalid)
 *   ['r', source, flags, last]    RegExp                 ['U', href] ['P', text]       URL, URLSearchParams
 *   ['a', [nodes]]                array                  ['A', length, [key, node...]] array with holes or properties
 *   ['o', [key, node...]]         object                 ['O', [key, node...]]         object without a prototype
 *   ['m', [node, node...]]        Map                    ['s', [nodes]]                Set
 *   ['b', type, offset, length]   bytes                  ['e', type, [key, node...]]   Error: own properties, message and cause among them
 *
 * Nothing in it is ever evaluated: types are looked up in the two lists below.
 */
export const JSON_FORM = 0x4a
export const TABLE_FORM = 0x54

type Bytes = ArrayBufferView | ArrayBuffer
type MakeBytes = (bytes: Uint8Array<ArrayBuffer>) => Bytes

interface NodeBuffer {
  from(buffer: ArrayBuffer, offset: number, length: number): Uint8Array
  readonly prototype: object
}

const nodeBuffer = (globalThis as { Buffer?: NodeBuffer }).Buffer

const view =
  (type: new (buffer: ArrayBuffer, offset: number, length: number) => ArrayBufferView, width: number): MakeBytes =>
  (bytes) =>
    new type(bytes.buffer, 0, bytes.length / width)

/** Types of bytes: how each is made of a copy of its own, and how wide its elements are. */
export const BYTE_TYPES: ReadonlyMap<
  string,
  { readonly prototype: object; readonly width: number; readonly make: MakeBytes }
> = new Map([
  [
    'ArrayBuffer',
    { prototype: ArrayBuffer.prototype, width: 1, make: (bytes: Uint8Array<ArrayBuffer>): Bytes => bytes.buffer },
  ],
  ['DataView', { prototype: DataView.prototype, width: 1, make: view(DataView, 1) }],
  ...[
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ].map(
    (type) =>
      [
        type.name,
        {
          prototype: type.prototype as object,
          width: type.BYTES_PER_ELEMENT,
          make: view(type, type.BYTES_PER_ELEMENT),
        },
      ] as const,
  ),
  [
    'Buffer',
    {
      prototype: nodeBuffer?.prototype ?? {},
      width: 1,
      // Where there is no Buffer, a Uint8Array is what comes nearest.
      make: (bytes: Uint8Array<ArrayBuffer>): Bytes => nodeBuffer?.from(bytes.buffer, 0, bytes.length) ?? bytes,
    },
  ],
])

/** Types of errors, and how one is made. An error of any other class comes back as an Error with the name of that class. */
export const ERROR_TYPES: ReadonlyMap<string, () => Error> = new Map<string, () => Error>([
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
    (type) => [type.name, () => new type()] as const,
  ),
  ['AggregateError', () => new AggregateError([])],
])
