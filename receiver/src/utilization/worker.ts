import { yieldToOthers } from '../store/query-thread.ts'

// Before the rest is loaded, for that takes longer than many a report.
yieldToOthers()
await import('./answer.ts')
