/**
 * keepfresh/custom: what a store over anything with keys and values is made of.
 *
 * @module
 */
export { RecordStore, type BatchBackend, type RecordBackend } from './stores/record-store.ts'
export { ListableRecordStore, type ListableBackend } from './stores/record-listing.ts'
export { checkOptions, type OptionRule } from './stores/options.ts'
export { FRAME_HEADER } from './engine/record.ts'
