/** What fetch tells those who observe a process's requests (Resource Timing; `performance.markResourceTiming` of Node). */

type Mark = (
  timing: object,
  url: string,
  initiator: 'fetch',
  global: object,
  cacheMode: '',
  body: object | string,
  status: number,
  delivery: '',
) => unknown

export class Timing {
  readonly #url: string
  readonly #start: number = performance.now()
  #requested = 0
  #answered = 0
  status = 0
  #size = 0
  #decoded: number | null = null

  constructor(url: string) {
    this.#url = url
  }

  requested(): void {
    this.#requested = performance.now()
  }

  answered(): void {
    this.#answered = performance.now()
  }

  arrived(bytes: number): void {
    this.#size += bytes
  }

  decoded(bytes: number): void {
    this.#decoded = bytes
  }

  mark(): void {
    const start = this.#start
    const connection = { domainLookupStartTime: start, domainLookupEndTime: start, connectionStartTime: start }
    const timing = {
      startTime: start,
      redirectStartTime: 0,
      redirectEndTime: 0,
      postRedirectStartTime: start,
      finalServiceWorkerStartTime: 0,
      finalNetworkRequestStartTime: this.#requested,
      finalNetworkResponseStartTime: this.#answered,
      endTime: performance.now(),
      encodedBodySize: this.#size,
      decodedBodySize: this.#decoded ?? this.#size,
      finalConnectionTimingInfo: { ...connection, connectionEndTime: start, secureConnectionStartTime: start },
    }
    const { markResourceTiming } = performance as { markResourceTiming?: Mark }
    markResourceTiming?.call(performance, timing, this.#url, 'fetch', globalThis, '', '', this.status, '')
  }
}
