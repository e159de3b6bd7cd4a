/** The part of the kit for stores that hold leases (LockingStore in engine/ports.ts). */
import { isLocking, type LockingStore } from '../engine/ports.ts'
import { ok, type It } from './checks.ts'
import { sampleHead } from './samples.ts'

/** Longer than any test: ends by unlock only. */
const LONG = 60_000
/** The shortest a store may be asked for; a store may round it up to a second. */
const SHORT = 50
/** How long an expired lease is waited for before the test fails. */
const PATIENCE = 15_000

async function eventually(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(what)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export function locks(it: It): void {
  const locking = (title: string, body: (store: LockingStore) => Promise<void>): void => {
    it(title, async (store) => {
      if (isLocking(store)) await body(store)
    })
  }

  locking('row 154: of many who want a lock, one has it until it gives it back', async (store) => {
    const owners = Array.from({ length: 20 }, (_, n) => `owner ${n}`)
    const taken = await Promise.all(owners.map((owner) => store.lock('l', owner, LONG)))
    ok(taken.filter(Boolean).length === 1, `${taken.filter(Boolean).length} took it`)
    const holder = owners[taken.indexOf(true)] ?? ''
    ok(!(await store.lock('l', 'another', LONG)), 'it was taken twice')
    ok(!(await store.unlock('l', 'another')), 'another gave it back')
    ok(!(await store.renew('l', 'another', LONG)), 'another renewed it')
    ok(await store.renew('l', holder, LONG), 'its holder could not renew it')
    ok(await store.unlock('l', holder), 'its holder could not give it back')
    ok(!(await store.unlock('l', holder)), 'it was given back twice')
    ok(await store.lock('l', 'another', LONG), 'it cannot be taken again')
    await store.unlock('l', 'another')
  })

  locking('69, 153: a lease ends by itself; who lost it can neither renew nor end the next one', async (store) => {
    ok(await store.lock('l', 'dead', SHORT), 'a free lock was not given')
    await eventually(async () => await store.lock('l', 'next', LONG), 'the lease never ended')
    ok(!(await store.renew('l', 'dead', LONG)), 'a lost lease was renewed')
    ok(!(await store.unlock('l', 'dead')), 'a lost lease was given back')
    ok(!(await store.lock('l', 'third', LONG)), 'the next holder lost its lock')
    await store.unlock('l', 'next')
  })

  locking('69: an ended lease cannot be renewed even where nobody took the lock', async (store) => {
    ok(await store.lock('l', 'late', SHORT), 'a free lock was not given')
    await eventually(async () => !(await renewed(store)), 'an ended lease was renewed for ever')
    await store.unlock('l', 'late')
  })

  locking('locks are no entries: neither read, listed, counted, cleared nor in the way of a key', async (store) => {
    await store.lock('k', 'me', LONG)
    ok((await store.read('k')) === undefined, 'a lock was read as an entry')
    await store.write(sampleHead('k'), new Uint8Array(3))
    await store.delete(['k'])
    if ('clear' in store && typeof store.clear === 'function') await store.clear()
    ok(!(await store.lock('k', 'you', LONG)), 'writing, deleting or clearing entries freed a lock')
    ok(await store.unlock('k', 'me'), 'the lock is gone')
    for (const name of ['k'.repeat(5000), '\u2603 \n\0', '__proto__']) {
      ok(await store.lock(name, 'me', LONG), 'a name was refused')
      ok(await store.unlock(name, 'me'), 'a name was lost')
    }
  })
}

/** Whether 'late' could still renew, waiting out its short lease first. */
async function renewed(store: LockingStore): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, SHORT * 2))
  return store.renew('l', 'late', SHORT)
}
