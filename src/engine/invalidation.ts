/** The primary keys under which a URL may be stored for the one who invalidates it: with its identity and without any (RFC 9111 section 4.4). */
import type { HeaderList } from '../http/message.ts'
import type { Effective } from './exchange.ts'
import { primaryKey } from './key.ts'

export async function keysOfUrl(url: string, headers: HeaderList, effective: Effective): Promise<string[]> {
  const { key, policy } = effective
  return Promise.all([
    primaryKey({ method: 'GET', url, headers }, null, key, policy.shared),
    primaryKey({ method: 'GET', url, headers: [] }, null, key, policy.shared),
  ])
}
