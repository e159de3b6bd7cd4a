/** What every server edge does alike (features M1-M4, CHECKLIST 249-260), over real sockets, with one neutral handler. */
import type { Edge } from '../edges.ts'
import { bodies } from './bodies.ts'
import { keeping } from './keeping.ts'
import { options } from './options.ts'
import { purging } from './purging.ts'
import { refusing } from './refusing.ts'
import { staleness } from './staleness.ts'
import { validating } from './validating.ts'

export function behaviours(edge: Edge): void {
  for (const suite of [keeping, refusing, staleness, validating, bodies, purging, options]) suite(edge)
}
