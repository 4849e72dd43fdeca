import { describe, expect, it } from 'vitest'
import { benches } from './table.ts'

// Each checks its own answers and counts while it runs, so a bench that measures nothing fails here. No time is judged.
describe.concurrent('every bench runs, very small', () => {
  it.for(Object.entries(benches))('%s', async ([, bench]) => {
    const report = await bench.run(0.01)
    expect(report.figures.length + report.skipped.length).toBeGreaterThan(0)
    for (const { what, value } of report.figures) expect(Number.isFinite(value), what).toBe(true)
  })
})
