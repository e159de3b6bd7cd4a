/** Every store keeps the contract. */
import { describe, test } from 'vitest'
import { storeConformance } from '../../src/testing/index.ts'
import { STORES } from './support.ts'

for (const [name, make] of STORES) storeConformance({ name, make, describe, test })
