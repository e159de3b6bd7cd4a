import { describe, expect, it } from 'vitest'
import { HashRing } from './memcached-ring.ts'

const NAMES = ['10.0.0.1:11211', '10.0.0.2:11211', '10.0.0.3:11211', '10.0.0.4:11211']
const KEYS = Array.from({ length: 20_000 }, (_, n) => `keepfresh:e:${n}`)

const owners = (names: readonly string[]): string[] => {
  const ring = new HashRing(names)
  return KEYS.map((key) => names[ring.indexOf(key)] ?? 'nobody')
}

describe('the ring (B7)', () => {
  it('shares keys out about evenly', () => {
    const shares = new Map<string, number>()
    for (const owner of owners(NAMES)) shares.set(owner, (shares.get(owner) ?? 0) + 1)
    expect([...shares.keys()].toSorted()).toEqual(NAMES)
    for (const share of shares.values()) {
      expect(share).toBeGreaterThan(KEYS.length / 4 / 1.4)
      expect(share).toBeLessThan((KEYS.length / 4) * 1.4)
    }
  })

  it('moves only the keys of a server that is removed', () => {
    const [before, after] = [owners(NAMES), owners(NAMES.slice(0, 3))]
    const moved = before.filter((owner, n) => owner !== after[n])
    expect(new Set(moved)).toEqual(new Set([NAMES[3]]))
  })

  it('is the same whatever the order of the servers, and from release to release', () => {
    expect(owners(NAMES)).toEqual(owners(NAMES.toReversed()))
    // Entries stored by one release are where the next one looks: these must not change (computed apart, in Python).
    expect(
      owners(NAMES)
        .slice(0, 12)
        .map((name) => NAMES.indexOf(name))
        .join(''),
    ).toBe('320131111212')
  })

  it('has a place for every key, with one server, too', () => {
    expect(new Set(owners(['a']))).toEqual(new Set(['a']))
  })
})
