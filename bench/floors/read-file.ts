import { readFile } from 'node:fs/promises'
import { rawFiles } from '../lib/raw-files.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'floor: fs.promises.readFile',
  package: null,
  stores: ['file'],
  setup: async (_origin, { dir }) => rawFiles(dir, (path) => readFile(path)),
}
