/** MongoStore keeps the store contract, with a client of ours and with one given to us (B5, B11, rows 191-200). */
import { describe, test } from 'vitest'
import { storeConformance } from '../../src/testing/index.ts'
import { describeWithService } from '../services/registry.ts'
import { waysTo } from './mongodb-support.ts'

// FerretDB reads a whole collection for what MongoDB finds by an index: thousands of entries take it a while.
const patient = (title: string, body: () => Promise<void>): void => test(title, body, 120_000)

describeWithService('mongodb', ({ url }) => {
  for (const [name, make] of waysTo(url)) {
    storeConformance({ name: `MongoStore, ${name}`, make, describe, test: patient })
  }
})
