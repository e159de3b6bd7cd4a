/** RedisStore over a Redis Cluster that loses connections and nodes, and moves slots (B37, row 215). */
import { createClient } from 'redis'
import { expect, it, onTestFinished } from 'vitest'
import { RedisStore } from '../../src/stores/redis.ts'
import { sampleHead } from '../../src/testing/samples.ts'
import { until } from '../engine/support.ts'
import { describeWithOwnServer } from '../services/faults.ts'
import { startServices } from '../services/start.ts'

const keys = Array.from({ length: 60 }, (_, n) => `key ${n}`)

type Node = ReturnType<typeof createClient>

async function nodeAt(server: string): Promise<Node> {
  const node = createClient({ url: `redis://${server}` })
  node.on('error', () => undefined)
  onTestFinished(() => node.destroy())
  return (await node.connect()) as Node
}

/** How many of the keys can be read now. */
async function readable(store: RedisStore): Promise<number> {
  const reads = await Promise.allSettled(keys.map((key) => store.read(key)))
  return reads.filter((read) => read.status === 'fulfilled' && read.value !== undefined).length
}

describeWithOwnServer('redis', () => {
  it('lost connections are made again; a slot that moves is followed; of a dead node only its own keys are lost', async () => {
    const services = await startServices({ only: ['redis-cluster'] })
    onTestFinished(() => services.stop())
    const servers = (services.env['KEEPFRESH_REDIS_CLUSTER'] ?? '').split(',')
    const nodes = await Promise.all(servers.map(nodeAt))
    const rootNodes = servers.map((server) => `redis://${server}`)
    const store = new RedisStore({ cluster: { rootNodes }, clientOptions: { defaults: { name: 'subject' } } })
    onTestFinished(() => store.close())
    for (const key of keys) await store.write(sampleHead(key), new Uint8Array(3))

    for (const node of nodes) {
      const ours = (await node.clientList()).filter(({ name }) => name === 'subject')
      for (const { id } of ours) await node.sendCommand(['CLIENT', 'KILL', 'ID', String(id)])
    }
    await until(async () => (await readable(store)) === keys.length)

    await moveOneSlot(nodes, servers[1] ?? '')
    expect(await readable(store)).toBe(keys.length)

    for (const node of nodes) await node.configSet('cluster-require-full-coverage', 'no')
    await nodes[2]?.sendCommand(['SHUTDOWN', 'NOSAVE']).catch(() => undefined)
    await until(async () => (await readable(store)) > 20)
    expect(await readable(store)).toBeLessThan(keys.length)
  })
})

/** Moves the slot of some entry, and what is in it, from the first node to the second. */
async function moveOneSlot(nodes: readonly Node[], address: string): Promise<void> {
  const [from, to] = nodes
  if (from === undefined || to === undefined) throw new Error('no nodes')
  const [name = ''] = await from.keys('*')
  const slot = String(await from.sendCommand(['CLUSTER', 'KEYSLOT', name]))
  const [fromId, toId] = [await from.clusterMyId(), await to.clusterMyId()]
  await to.sendCommand(['CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId])
  await from.sendCommand(['CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId])
  const [host = '', port = ''] = address.split(':')
  const names = await from.clusterGetKeysInSlot(Number(slot), 100)
  for (const each of names) await from.sendCommand(['MIGRATE', host, port, each, '0', '1000'])
  for (const node of nodes) await node.sendCommand(['CLUSTER', 'SETSLOT', slot, 'NODE', toId])
}
