/** Floor of a hit in MongoDB: the driver's own findOne by _id. */
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

interface Document {
  readonly _id: string
  readonly value: Uint8Array
}

export const contender: Contender = {
  name: 'floor: mongodb findOne',
  package: null,
  stores: ['mongodb'],
  async setup(_origin, { dir, server }) {
    const { MongoClient } = await import('mongodb')
    const client = await new MongoClient(server, { promoteBuffers: true }).connect()
    const database = client.db(`${namespaceOf(dir).replaceAll('-', '_')}_raw`)
    const documents = database.collection<Document>('entries')
    return rawClient({
      get: async (key) => (await documents.findOne({ _id: key }))?.value,
      set: (key, value) => documents.replaceOne({ _id: key }, { value: Buffer.from(value) }, { upsert: true }),
      clear: async () => void (await database.dropDatabase()),
      close: () => client.close(),
    })
  },
}
