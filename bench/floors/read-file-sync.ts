import { readFileSync } from 'node:fs'
import { rawFiles } from '../lib/raw-files.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'floor: fs.readFileSync',
  package: null,
  stores: ['file'],
  setup: async (_origin, { dir }) => rawFiles(dir, (path) => readFileSync(path)),
}
