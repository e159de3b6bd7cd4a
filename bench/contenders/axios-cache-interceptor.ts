import { create } from 'axios'
import { setupCache } from 'axios-cache-interceptor'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'axios-cache-interceptor',
  package: 'axios-cache-interceptor',
  stores: ['memory'],
  note: 'axios-cache-interceptor keeps the decoded value, not bytes: a JSON hit hands every caller the same object and parses nothing (its `cloneData` is off by default). It cannot cache streams.',
  async setup() {
    const axios = setupCache(create())
    return {
      text: async (url) => (await axios.get<string>(url, { responseType: 'text' })).data,
      json: async (url) => (await axios.get<unknown>(url)).data,
      arrayBuffer: async (url) => (await axios.get<Uint8Array>(url, { responseType: 'arraybuffer' })).data,
      drain: null,
      close: async () => {},
    }
  },
}
