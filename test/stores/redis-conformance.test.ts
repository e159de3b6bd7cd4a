/** RedisStore keeps the store contract, over every client it takes, on one server and on a cluster (B4, B11). */
import { describe, test } from 'vitest'
import { storeConformance } from '../../src/testing/index.ts'
import { describeWithService } from '../services/registry.ts'
import { waysToCluster, waysToServer } from './redis-support.ts'

describeWithService('redis', (redis) => {
  for (const [name, make] of waysToServer(redis)) storeConformance({ name, make, describe, test })
})

describeWithService('redis-cluster', (cluster) => {
  for (const [name, make] of waysToCluster(cluster)) storeConformance({ name, make, describe, test })
})
