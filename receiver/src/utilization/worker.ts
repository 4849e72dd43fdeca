import { yieldToOthers } from '../thread.ts'

// Before the rest is loaded, for that takes longer than many a report. Lower than queries, as it computes for longer; not the
// lowest, or a report would take for ever on a machine that others keep busy.
yieldToOthers(15)
await import('./report-thread.ts')
