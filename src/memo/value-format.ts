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
 *   ['i', text]                   bigint, decimal or 0x  ['d', ms | null]              Date (null: invalid)
 *   ['r', source, flags, last]    RegExp                 ['U', href] ['P', text]       URL, URLSearchParams
 *   ['a', [nodes]]                array                  ['A', length, [key, node...]] array with holes or properties
 *   ['o', [key, node...]]         object                 ['O', [key, node...]]         object without a prototype
 *   ['m', [node, node...]]        Map                    ['s', [nodes]]                Set
 *   ['b', type, offset, length]   bytes                  ['e', type, [key, node...]]   Error: own properties, message and cause among them
 *
 * Nothing in it is ever evaluated: types are looked up in two lists, BYTE_TYPES (byte-types.ts) and ERROR_TYPES. The binary values stand in
 * the order in which the table names them, each once.
 */
export const JSON_FORM = 0x4a
export const TABLE_FORM = 0x54

/** Types of errors, and how one is made. An error of any other class comes back as an Error with the name of that class. */
export const ERROR_TYPES: ReadonlyMap<string, () => Error> = new Map<string, () => Error>([
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
    (type) => [type.name, () => new type()] as const,
  ),
  ['AggregateError', () => new AggregateError([])],
])
