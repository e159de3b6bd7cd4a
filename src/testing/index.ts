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
