/** Made-up traces, each with one property and nothing else: seeded, the same on every machine. */
import { generator, zipf } from './random.ts'
import { always, requestsOf, type Trace } from './trace.ts'

const REQUESTS = 200_000
const KEYS = 20_000

export const synthetic: readonly Trace[] = [
  {
    name: 'Zipf 0.7',
    about: 'popularity falls slowly: the r-th key is asked for in proportion to 1 / r^0.7, independently',
    requests: always(() => draw(zipf(KEYS, 0.7, generator(7)))),
  },
  {
    name: 'Zipf 0.9',
    about: 'the same with 1 / r^0.9, as is often found for web pages',
    requests: always(() => draw(zipf(KEYS, 0.9, generator(7)))),
  },
  {
    name: 'Zipf 1.1',
    about: 'the same with 1 / r^1.1: a few keys are most of the traffic',
    requests: always(() => draw(zipf(KEYS, 1.1, generator(7)))),
  },
  {
    name: 'scans',
    about: 'Zipf 0.9; of every 20,000 requests, 5,000 in a row walk on through 10,000 other keys',
    requests: always(() => scans(zipf(KEYS, 0.9, generator(7)))),
  },
  {
    name: 'one-hit wonders',
    about: 'every other request is for a key that is never asked for again; the rest are Zipf 0.9',
    requests: always(() => wonders(zipf(KEYS, 0.9, generator(7)))),
  },
  {
    name: 'loop',
    about: 'in a circle, through a fifth more keys than the cache holds (another trace for each size)',
    requests: (share) => requestsOf(loop(Math.ceil(KEYS * share * 1.2))),
    sizeFor: (share) => Math.round(KEYS * share),
  },
  {
    name: 'shifting',
    about: 'Zipf 0.9; every 20,000 requests the whole ranking moves on by 1,500 keys',
    requests: always(() => shifting(zipf(KEYS, 0.9, generator(7)))),
  },
  {
    name: 'recency',
    about: 'what was asked for lately is asked for again: stack distances fall as d^-0.6, whatever the key',
    requests: always(() => recency(generator(7))),
  },
]

function* draw(next: () => number): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield next()
}

function* scans(next: () => number): Iterable<number> {
  let at = 0
  for (let n = 0; n < REQUESTS; n++) yield n % 20_000 < 15_000 ? next() : KEYS + (at++ % 10_000)
}

function* wonders(next: () => number): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield n % 2 === 0 ? next() : KEYS + n
}

function* loop(length: number): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield n % length
}

function* shifting(next: () => number): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield (next() + Math.floor(n / 20_000) * 1500) % KEYS
}

/** How many other keys came between two requests for a key is drawn from a Pareto distribution; past the end of the stack the key is new. */
function* recency(random: () => number): Iterable<number> {
  const stack: number[] = []
  for (let n = 0; n < REQUESTS; n++) {
    const depth = Math.floor(random() ** (-1 / 0.6)) - 1
    const key = depth < stack.length ? stack.splice(stack.length - 1 - depth, 1)[0] : n
    stack.push(key ?? n)
    yield key ?? n
  }
}
