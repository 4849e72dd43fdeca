import { describe, expect, it } from 'vitest'
import { explore, exploreWide, rareMutations } from '../../../support/journal-exploration.ts'

describe('the proposed order of commits, in the model', () => {
  it('gives every stored event once to every follower in two million schedules', async () => {
    expect(await exploreWide(2_000_000)).toBeUndefined()
  })

  it('also does when a number is not durable', async () => {
    expect(await exploreWide(300_000, { notDurable: 'number' })).toBeUndefined()
  })

  for (const [name, mutation] of Object.entries(rareMutations))
    it(`finds what is wrong when ${name}`, () => {
      expect(explore(500_000, mutation)).toBeDefined()
    })
})
