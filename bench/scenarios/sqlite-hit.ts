import { caseName, hitTables, raceHits } from '../lib/hits.ts'
import { ratio } from '../lib/race.ts'
import type { Scenario } from '../lib/types.ts'

const FLOOR = 'floor: prepared SELECT + minimal object'
const OURS = 'keepfresh, sqlite'

export const scenario: Scenario = {
  title: 'SQLite hit',
  about:
    'As above, with the entries in an SQLite file; below, those that keep files of another kind. The file is in the page cache.',
  async run(context) {
    const hits = await raceHits(context, { stores: ['sqlite', 'file'] })
    const found = hits.results.get(caseName('1 KB', 'text', 1))
    const request = [...(found?.keys() ?? [])].find((label) => label.startsWith('undici.request')) ?? ''
    return {
      tables: hitTables(hits, FLOOR, OURS),
      targets: [
        {
          what: '1 KB text, of SELECT + floor',
          sense: 'at most',
          limit: 1.5,
          got: ratio(found?.get(OURS), found?.get(FLOOR)),
          unit: 'x',
        },
        {
          what: '1 KB text, undici.request on SQLite',
          sense: 'at least',
          limit: 7,
          got: ratio(found?.get(request), found?.get(OURS)),
          unit: 'x',
        },
      ],
      notes: hits.notes,
    }
  },
}
