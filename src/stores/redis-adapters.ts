/** Which library a client is of, by what it can do. */
import { OptionError } from '../errors.ts'
import { IoredisAdapter } from './redis-ioredis.ts'
import { NodeCluster, NodeSentinel, NodeStandalone } from './redis-node.ts'
import type {
  Ioredis,
  NodeRedisClient,
  NodeRedisCluster,
  NodeRedisSentinel,
  RedisClient,
  RedisClientLike,
} from './redis-client.ts'

/**
 * A client that was given, as the store uses it.
 * @throws OptionError for what is no client we know
 */
export function adapterOf(client: RedisClientLike): RedisClient {
  if (isIoredis(client)) return new IoredisAdapter(client)
  if (!('sendCommand' in client) || !('withTypeMapping' in client)) {
    const message = 'RedisStore: `client`: it must be a client of `redis` (5 or later) or `ioredis` (5 or later).'
    throw new OptionError('ERR_OPTION_VALUE', 'client', message)
  }
  if (isCluster(client)) return new NodeCluster(client)
  return isSentinel(client) ? new NodeSentinel(client) : new NodeStandalone(client as NodeRedisClient)
}

function isIoredis(client: RedisClientLike): client is Ioredis {
  return 'callBuffer' in client && 'status' in client
}

function isCluster(client: RedisClientLike): client is NodeRedisCluster {
  return 'masters' in client && 'nodeClient' in client
}

function isSentinel(client: RedisClientLike): client is NodeRedisSentinel {
  return 'getMasterNode' in client
}
