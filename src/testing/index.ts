/** keepfresh/testing: what tests of caches need. */
export { LocalOrigin, bodyBytes, startOrigin, verifyBody, wholeBody } from './origin.ts'
export type {
  BodyVerdict,
  OriginAnswer,
  OriginExchange,
  OriginHandler,
  OriginHeaders,
  OriginOptions,
  OriginRequest,
} from './origin.ts'
export { FakeClock } from './fake-clock.ts'
export { FaultyStore, type Fault, type FaultyMethod } from './faulty-store.ts'
export { sampleHead, sampleMeta } from './samples.ts'
export { storeConformance, type ConformanceOptions } from './store-conformance.ts'
