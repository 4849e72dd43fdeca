import { appendFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/**
 * Ends a run with one plain line, `N passed, N failed, N skipped`, after the reason of every skip.
 * With MADSCI_TEST_TOTALS the three numbers are appended to that file instead, for a caller that adds up several runs.
 */
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const totals = { passed: 0, failed: errors.length, skipped: 0 }
    for (const module of modules) {
      if (module.state() === 'failed' && module.children.size === 0) totals.failed++
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'passed') totals.passed++
        else if (result.state === 'failed') totals.failed++
        else {
          totals.skipped++
          const reason = 'note' in result && result.note ? result.note : 'no reason given'
          console.log(`skipped: ${test.fullName}: ${reason}`)
        }
      }
    }
    const { passed, failed, skipped } = totals
    const file = process.env.MADSCI_TEST_TOTALS
    if (file) appendFileSync(file, `${passed} ${failed} ${skipped}\n`)
    else console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
}
