import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crossProcess } from './cross-process.ts'

crossProcess('file', () => `file:${join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'cache')}`)
