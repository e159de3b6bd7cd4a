/** nginx and Varnish as child processes on 127.0.0.1, each with a configuration of its own in a temporary directory. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Proxy {
  readonly url: string
  readonly pid: number | undefined
  stop(): Promise<void>
}

/** Starts one in front of `origin` (http://127.0.0.1:port), which keeps everything for `ttl` seconds. */
type StartProxy = (program: string, dir: string, port: number, origin: string, ttl: number) => ChildProcess

interface ProxyKind {
  readonly program: string
  /** As Debian calls it. */
  readonly package: string
  /** Prints the version on standard error. */
  readonly version: readonly string[]
  readonly start: StartProxy
}

export const PROXIES: Readonly<Record<string, ProxyKind>> = {
  'nginx proxy_cache': { program: 'nginx', package: 'nginx-light', version: ['-v'], start: startNginx },
  Varnish: { program: 'varnishd', package: 'varnish', version: ['-V'], start: startVarnish },
}

function startNginx(program: string, dir: string, port: number, origin: string, ttl: number): ChildProcess {
  writeFileSync(
    `${dir}/nginx.conf`,
    `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${dir}/nginx.pid;
error_log stderr error;
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  keepalive_requests 1000000;
  proxy_cache_path ${dir}/cache keys_zone=bench:10m;
  upstream origin { server ${origin.replace('http://', '')}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
      proxy_cache_valid 200 ${ttl}s;
      proxy_cache_lock on;
      proxy_cache_use_stale updating;
    }
  }
}
`,
  )
  return spawn(program, ['-p', dir, '-c', `${dir}/nginx.conf`], { stdio: ['ignore', 'ignore', 'pipe'] })
}

function startVarnish(program: string, dir: string, port: number, origin: string, ttl: number): ChildProcess {
  const { hostname, port: originPort } = new URL(origin)
  writeFileSync(
    `${dir}/bench.vcl`,
    `vcl 4.1;
backend default { .host = "${hostname}"; .port = "${originPort}"; }
sub vcl_backend_response { set beresp.ttl = ${ttl}s; }
`,
  )
  const args = ['-F', '-n', dir, '-f', `${dir}/bench.vcl`, '-a', `127.0.0.1:${port}`, '-s', 'malloc,64m']
  return spawn(program, [...args, '-p', 'thread_pools=1', '-p', 'timeout_idle=60'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

/** Null: it is not installed here. */
export function proxyVersion(kind: string): string | null {
  const { program, version } = PROXIES[kind] ?? {}
  const path = program === undefined ? null : find(program)
  if (path === null || version === undefined) return null
  const said = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', path, ...version], { encoding: 'utf8' })
  return /[-/]([\d.]+\d)/.exec(said)?.[1] ?? ''
}

function find(program: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? null
}

export async function startProxy(kind: string, origin: string, ttl: number): Promise<Proxy> {
  const { program = '', start } = PROXIES[kind] ?? {}
  const path = find(program)
  if (path === null || start === undefined) throw new Error(`${kind} is not installed`)
  const dir = mkdtempSync(join(tmpdir(), 'keepfresh-bench-'))
  // Varnish reads it as a user of its own.
  chmodSync(dir, 0o755)
  const port = await freePort()
  const child = start(path, dir, port, origin, ttl)
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)))
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.kill('SIGTERM')) await once(child, 'exit')
    rmSync(dir, { recursive: true, force: true })
  }
  for (let waited = 0; waited < 10_000; waited += 50) {
    if (child.exitCode !== null) break
    if (await answers(`${url}/runs`)) return { url, pid: child.pid, stop }
    await sleep(50)
  }
  await stop()
  throw new Error(`${kind} did not start: ${said}`)
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url)).arrayBuffer()
    return true
  } catch {
    // Not listening yet: asked again.
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
