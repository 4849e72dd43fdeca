import { expect, it } from 'vitest'
import { readGolden } from '../contract/golden.ts'
import { runSteps } from '../contract/rest.ts'
import { findDifferences } from '../contract/rest-difference.ts'
import { startTestReceiver } from '../support/receiver.ts'

it('answers every step of the black box like the original on SQLite, but for the table of differences', async () => {
  const receiver = await startTestReceiver()
  try {
    expect(findDifferences(readGolden(), await runSteps(receiver.url)).join('\n')).toBe('')
  } finally {
    await receiver.close()
  }
})
