export { readSpool, type SpoolSegment } from './inspect.ts'
