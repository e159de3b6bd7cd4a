import { expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import { Events } from './events.ts'

it('a listener that is stopped twice takes no later one with it', () => {
  const events = new Events()
  const heard: string[] = []
  const stop = events.on('error', () => heard.push('first'))
  stop()
  events.on('error', () => heard.push('second'))
  stop()
  expect(events.wants('error')).toBe(true)
  events.emit({ type: 'error', operation: 'read', key: null, error: new StoreError('ERR_STORE_FAILED', 'x') })
  expect(heard).toEqual(['second'])
})
