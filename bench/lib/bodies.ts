/** The bodies the origin sends, the same for every contender. */
const made = new Map<string, Buffer>()

/** A text of exactly, or a JSON array of at least, so many bytes (ASCII). */
export function bodyFor(kind: 'text' | 'json', bytes: number): Buffer {
  const name = `${kind}/${bytes}`
  let body = made.get(name)
  if (body === undefined) {
    body = Buffer.from(kind === 'text' ? text(bytes) : json(bytes))
    made.set(name, body)
  }
  return body
}

const WORDS =
  'the quick brown fox jumps over a lazy dog while seven wizards mix five dozen jugs of liquor and nobody waits for cwm'.split(
    ' ',
  )

function text(bytes: number): string {
  let out = ''
  for (let i = 0; out.length < bytes; i++) out += `${WORDS[(i * 7 + (i >> 3)) % WORDS.length]} `
  return out.slice(0, bytes)
}

/** Records as an API lists them: strings, numbers, a boolean, a nested list. */
function json(bytes: number): string {
  const records: string[] = []
  for (let length = 2, i = 0; length < bytes; i++) {
    const name = `${WORDS[i % WORDS.length]} ${WORDS[(i * 5 + 1) % WORDS.length]}`
    const record = JSON.stringify({ id: i, name, price: i * 1.25, active: i % 3 === 0, tags: ['a', 'b', String(i)] })
    records.push(record)
    length += record.length + 1
  }
  return `[${records.join(',')}]`
}
