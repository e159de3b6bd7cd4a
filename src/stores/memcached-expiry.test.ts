import { expect, it } from 'vitest'
import { exptimeOf } from './memcached-expiry.ts'

const NOW = 1_700_000_000_500
const DAY = 86_400_000

it('B46, row 218: whole seconds, never too short; beyond 30 days an instant; no end is 0', () => {
  expect([
    exptimeOf(null, NOW),
    exptimeOf(-5, NOW),
    exptimeOf(1, NOW),
    exptimeOf(1000, NOW),
    exptimeOf(1001, NOW),
    exptimeOf(30 * DAY - 1000, NOW),
    exptimeOf(30 * DAY, NOW),
    exptimeOf(31 * DAY, NOW),
  ]).toEqual([0, 1, 2, 2, 3, 2_592_000, 1_702_592_001, 1_702_678_401])
})

it('what ends after 2038 does not end: the number would be refused', () => {
  expect([exptimeOf(14 * 365 * DAY, NOW) > NOW / 1000, exptimeOf(20 * 365 * DAY, NOW)]).toEqual([true, 0])
})
