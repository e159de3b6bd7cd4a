/** A wrong value as a message shows it: what it is, in a few words. Of objects only the names: their values may be secrets. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') {
    const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? 'class' : 'function'
    return `the ${kind} ${value.name || 'without a name'}`
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) return String(value)
  if (Array.isArray(value)) return `[${listed(value.map(shown))}]`
  const [tag] = Object.prototype.toString.call(value).slice('[object '.length).split(']')
  if (tag !== 'Object') return `a ${tag ?? 'thing'}`
  const names = Object.keys(value)
  return names.length === 0 ? '{}' : `{ ${listed(names)} }`
}

/** As many as fit. */
function listed(words: readonly string[]): string {
  return words.length > 8 ? `${words.slice(0, 8).join(', ')}, ...` : words.join(', ')
}
