/** Seeded chance: the same seed, the same trace. */

/** Uniform in (0, 1): the minimal standard generator of Park and Miller. */
export function generator(seed: number): () => number {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

/** Ranks from 0: rank r is drawn in proportion to 1 / (r + 1) ** s. */
export function zipf(keys: number, s: number, random: () => number): () => number {
  const sums = new Float64Array(keys)
  let sum = 0
  for (let rank = 0; rank < keys; rank++) sums[rank] = sum += 1 / (rank + 1) ** s
  return () => {
    const wanted = random() * sum
    let low = 0
    let high = keys - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}
