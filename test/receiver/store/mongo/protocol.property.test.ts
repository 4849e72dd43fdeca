import { describe, expect, it } from 'vitest'
import { explore, mutations } from '../../../support/journal-exploration.ts'

describe('the proposed order of commits, in the model', () => {
  it('gives every stored event once to every follower, in one order, whatever is killed and whenever', () => {
    expect(explore(15_000)).toBeUndefined()
  })

  for (const [name, mutation] of Object.entries(mutations))
    it(`finds what is wrong when ${name}`, () => {
      expect(explore(40_000, mutation)).toBeDefined()
    })
})
