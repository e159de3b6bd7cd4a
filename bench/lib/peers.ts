/** Installs what keepfresh is compared with, once, from the lock file of this folder. */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const bench = new URL('../', import.meta.url)

export function installPeers(): void {
  if (!existsSync(new URL('node_modules/.package-lock.json', bench))) {
    process.stderr.write('installing the contenders: npm ci --prefix bench\n')
    // npm is a script beside node on every system; the shell is for npm.cmd on Windows.
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: fileURLToPath(bench), stdio: 'inherit', shell: process.platform === 'win32' })
  }
  // `import 'keepfresh'` as a user writes it: this folder is a package of its own, so that it cannot refer to its parent by name.
  const link = new URL('node_modules/keepfresh', bench)
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(fileURLToPath(new URL('../', bench)), link, 'junction')
}
