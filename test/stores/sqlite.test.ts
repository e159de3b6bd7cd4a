import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crossProcess } from './cross-process.ts'

crossProcess('sqlite', () => `sqlite:${join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db')}`)
