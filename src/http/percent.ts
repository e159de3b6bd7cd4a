/**
 * Percent-decoding to text as the WHATWG URL and Encoding standards have it: an escape is a byte, what is no escape stands for itself, and bytes
 * that are not UTF-8 are U+FFFD. (decodeURIComponent refuses what has a single fault.)
 */

export function percentDecode(text: string): string {
  return text.includes('%') ? text.replaceAll(/(?:%[0-9a-f]{2})+/gi, decodeRun) : text
}

/** Escapes without a gap: a character's bytes are never apart. */
function decodeRun(run: string): string {
  try {
    return decodeURIComponent(run)
  } catch {
    // Not UTF-8: with the faults marked.
    return decodeUtf8(
      run
        .split('%')
        .slice(1)
        .map((hex) => Number.parseInt(hex, 16)),
    )
  }
}

/** What a leading byte announces: how many follow, the bits it brings, and between what the first of those must be. */
function announced(byte: number): readonly [needed: number, bits: number, lower: number, upper: number] | null {
  if (byte >= 0xc2 && byte <= 0xdf) return [1, byte & 0x1f, 0x80, 0xbf]
  if (byte >= 0xe0 && byte <= 0xef) return [2, byte & 0xf, byte === 0xe0 ? 0xa0 : 0x80, byte === 0xed ? 0x9f : 0xbf]
  if (byte >= 0xf0 && byte <= 0xf4) return [3, byte & 0x7, byte === 0xf0 ? 0x90 : 0x80, byte === 0xf4 ? 0x8f : 0xbf]
  return null
}

/** Encoding standard, section 8.1.1. */
function decodeUtf8(bytes: readonly number[]): string {
  let text = ''
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at++] ?? 0
    const lead = first < 0x80 ? null : announced(first)
    if (lead === null) {
      text += first < 0x80 ? String.fromCharCode(first) : '\ufffd'
      continue
    }
    let [needed, code, lower, upper] = lead
    for (; needed > 0; needed--) {
      const next = bytes[at]
      if (next === undefined || next < lower || next > upper) break
      code = (code << 6) | (next & 0x3f)
      ;[lower, upper] = [0x80, 0xbf]
      at += 1
    }
    text += needed > 0 ? '\ufffd' : String.fromCodePoint(code)
  }
  return text
}
