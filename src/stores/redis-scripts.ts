/** What must happen in one step on the server, as Lua. Every key a script touches is declared and has the same hash tag. */
import { hash } from 'node:crypto'

export interface Script {
  readonly source: string
  /** What EVALSHA calls it by. */
  readonly sha: string
}

function script(source: string): Script {
  return { source, sha: hash('sha1', source) }
}

/** The code of the error reply when a chunk of the entry to be published is not there any more. */
const CHUNK_GONE = 'KEEPFRESHGONE'

/**
 * Puts a frame in place of what is there and returns the first 36 bytes of that. The chunks it names must be there; where it has
 * no lifetime, theirs ends too.
 *
 * KEYS: entry, chunks... ARGV: frame, lifetime in ms or 0
 */
export const SET: Script = script(`local old = redis.pcall('GETRANGE', KEYS[1], 0, 35)
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return redis.error_reply('${CHUNK_GONE} chunk ' .. (i - 2)) end
end
if ARGV[2] == '0' then
  for i = 2, #KEYS do redis.call('PERSIST', KEYS[i]) end
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
if type(old) == 'table' then return '' end
return old`)

/**
 * Puts a frame in place of the one of this version; its chunks live on as their entry does.
 *
 * KEYS: entry, chunks... ARGV: frame, lifetime in ms or 0, the version that must be there (bytes 16 to 23), the chunks' lifetime
 */
export const REPLACE: Script = script(`local old = redis.pcall('GETRANGE', KEYS[1], 16, 23)
if old ~= ARGV[3] then return 0 end
for i = 2, #KEYS do
  if ARGV[4] == '0' then redis.call('PERSIST', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
end
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], ARGV[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1`)

/** Removes an entry, of whatever type it is, and returns its first 36 bytes; nil: there was none. KEYS: entry. */
export const REMOVE: Script = script(`local old = redis.pcall('GETRANGE', KEYS[1], 0, 35)
if redis.call('UNLINK', KEYS[1]) == 0 then return false end
if type(old) == 'table' then return '' end
return old`)

/** KEYS: lease. ARGV: owner, lifetime in ms. */
export const RENEW: Script = script(`if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

/** KEYS: lease. ARGV: owner. */
export const UNLOCK: Script = script(`if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
