import { expect, it } from 'vitest'
import { keyHash } from './key-hash.ts'

it('136: 43 characters of base64url for any key, the SHA-256 of its UTF-8', () => {
  expect(keyHash('')).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
  for (const key of ['a', 'a'.repeat(1e5), '\n\0{}', 'é', '\uD83D\uDE00', '\uD83D']) {
    expect(keyHash(key)).toMatch(/^[\w-]{43}$/)
  }
})

it('keys with different lone surrogates, or with what stands for one in UTF-8, are different', () => {
  expect(new Set(['a\uD800', 'a\uD801', 'a\uFFFD', '\uD800a'].map(keyHash)).size).toBe(4)
})
