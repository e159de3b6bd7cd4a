/** Installs what keepfresh is compared with, from the lock file of this folder, where it is not there in the versions asked for. */
import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { version } from './machine.ts'

const bench = new URL('../', import.meta.url)

export function installPeers(): void {
  const manifest = JSON.parse(readFileSync(new URL('package.json', bench), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const missing = Object.entries(manifest.dependencies).filter(([name, wanted]) => version(name) !== wanted)
  if (missing.length > 0) {
    process.stderr.write(`installing ${missing.map(([name]) => name).join(', ')}: npm ci --prefix bench\n`)
    // The npm that runs this script, if one does: `npm` on the PATH of a script may be some dependency's.
    const { npm_execpath: npm } = process.env
    const [command, first] = npm === undefined ? ['npm', []] : [process.execPath, [npm]]
    const args = [...first, 'ci', '--no-audit', '--no-fund']
    execFileSync(command, args, { cwd: fileURLToPath(bench), stdio: 'inherit' })
  }
  // `import 'keepfresh'` as a user writes it: this folder is a package of its own, so that it cannot refer to its parent by name.
  const link = new URL('node_modules/keepfresh', bench)
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined)
    symlinkSync(fileURLToPath(new URL('../', bench)), link, 'junction')
}
