/** What is kept of what the function brought, and for how long: or why it is not kept. */
import type { Expiry } from '../policy/options.ts'
import type { Draft, Refusal } from './entry.ts'
import { checkTags, instantOf, type CallOptions, type Settings } from './options.ts'
import { parseExpiry } from '../clients/durations.ts'

/** The times of a call: ms since the epoch, and ms. */
export interface Timing {
  readonly askedAt: number
  readonly now: number
  readonly took: number
}

/** Functions given as options may throw: the caller of this has to see to it. */
export function draftOfValue<K, V>(
  settings: Settings<K, V>,
  key: K,
  value: V,
  options: CallOptions,
  timing: Timing,
): Draft<K, V> | Refusal {
  if (timing.took < settings.minDuration) return 'too-quick'
  if (settings.filter !== null && !settings.filter(value, key)) return 'filter'
  const freshUntil = instantOf(expiryOf(settings, key, value, options), timing.now, settings.jitter, settings.random)
  if (freshUntil <= timing.now) return 'ttl'
  const own = typeof settings.tags === 'function' ? settings.tags(value, key) : settings.tags
  if (own !== settings.tags) checkTags(own, 'tags')
  const tags = options.tags === undefined ? own : [...own, ...options.tags]
  return {
    key,
    failed: false,
    value,
    error: undefined,
    freshUntil,
    createdAt: timing.now,
    askedAt: timing.askedAt,
    took: timing.took,
    tags,
  }
}

function expiryOf<K, V>(settings: Settings<K, V>, key: K, value: V, options: CallOptions): Expiry {
  if (options.ttl !== undefined) return parseExpiry(options.ttl, 'ttl')
  if ((value === undefined || value === null) && settings.negativeTtl !== null) return settings.negativeTtl
  return typeof settings.ttl === 'function' ? settings.ttl(value, key) : settings.ttl
}

/** The error in place of a value, where errors are kept: by default they never are (row 262). */
export function draftOfError<K, V>(
  settings: Settings<K, V>,
  key: K,
  error: unknown,
  timing: Timing,
): Draft<K, V> | null {
  const { errorTtl } = settings
  if (errorTtl === null) return null
  const expiry = typeof errorTtl === 'function' ? errorTtl(error, key) : errorTtl
  const freshUntil = instantOf(expiry, timing.now, settings.jitter, settings.random)
  if (freshUntil <= timing.now) return null
  const tags = typeof settings.tags === 'function' ? [] : settings.tags
  return {
    key,
    failed: true,
    value: undefined,
    error,
    freshUntil,
    createdAt: timing.now,
    askedAt: timing.askedAt,
    took: timing.took,
    tags,
  }
}
