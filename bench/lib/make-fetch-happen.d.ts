// The package has no types of its own, and those published for it are of another major version.
declare module 'make-fetch-happen' {
  import type { ResponseLike } from './web.ts'
  const fetch: { defaults(options: { cachePath: string }): (url: string) => Promise<ResponseLike> }
  export default fetch
}
