/** One contender, one process: `node server.ts KIND MODE BYTES`. Says its port, and how often its handler ran when asked at /runs. */
import { kinds as express } from './kinds/express.ts'
import { kinds as fastify } from './kinds/fastify.ts'
import { kinds as hono } from './kinds/hono.ts'
import { kinds as koa } from './kinds/koa.ts'
import { kinds as node } from './kinds/node.ts'
import { Page, type Kinds, type Mode } from './page.ts'

const KINDS: Kinds = { ...node, ...express, ...koa, ...fastify, ...hono }

const [kind = '', mode = 'hit', bytes = '1024'] = process.argv.slice(2)
const start = KINDS[kind]
if (start === undefined) throw new Error(`no server '${kind}'; there are ${Object.keys(KINDS).join(', ')}`)
await start(new Page(mode as Mode, Number(bytes)))
