/** Clear-Site-Data (W3C): a list of quoted types of data that a user agent is told to delete. */
import { splitList } from './lists.ts'

/** Whether it names the cache. Types are compared as they are written, quotes included; what nobody knows counts for nothing. */
export function clearsCache(value: string): boolean {
  return splitList(value).some((type) => type === '"cache"' || type === '"*"')
}
