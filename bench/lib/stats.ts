/** Medians, percentiles and the numbers as printed. */

/** The value below which a share `q` (0 to 1) of the values lies; NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * q
  const low = sorted[Math.floor(position)] ?? Number.NaN
  const high = sorted[Math.ceil(position)] ?? Number.NaN
  return low + (high - low) * (position - Math.floor(position))
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Three significant digits, never an exponent: 0.0123, 1.23, 12.3, 1234. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value === 0) return '0'
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(decimals, 4))
}

export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${digits(ratio)}x` : '-'
}
