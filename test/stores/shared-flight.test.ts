/** Single-flight between processes on the stores that are servers (feature B11). */
import { randomUUID } from 'node:crypto'
import { describeWithService } from '../services/registry.ts'
import { crossProcess } from './cross-process.ts'

describeWithService('memcached', ({ servers }) => {
  crossProcess('memcached', () => `memcached://${servers.join(',')}/${randomUUID()}`)
})
describeWithService('redis', ({ url }) => {
  // Processes of one test share the database; each test has a URL of its own at the origin.
  crossProcess('redis', () => url)
})
