import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: ['test/services/setup.ts'],
    reporters: ['default', './test/services/reporter.ts'],
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Real processes, sockets and files: the machine's cores are the limit, not the timers.
    pool: 'forks',
  },
})
