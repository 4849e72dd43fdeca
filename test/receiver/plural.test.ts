import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { countOf } from '../../receiver/src/plural.ts'

const root = join(import.meta.dirname, '../..')

/** MADSci's own words, which stay as they are, and numbers that are never 1. */
const exempt = [
  'Successfully archived ',
  'Permanently deleted ',
  'toFixed(seconds / 60, 1)',
  'toFixed(seconds / 3600, 1)',
  'more} more experiments',
  'found.length} nodes ',
  'workflows.length - maxWorkflows}',
  'rows.length - maxRows}',
  'maxRecords} records',
  'of $', // 0 of 1 events
  'SELECT $',
]
const nouns =
  'events|messages|waits|alerts|problems|warnings|attempts|records|ids|rows|nodes|workflows|minutes|hours|days|files|lines|steps|runs|matches|experiments'

describe('numbers in sentences', () => {
  it('have the words that fit them', () => {
    expect([0, 1, 2].map((count) => countOf(count, 'event waits', 'events wait'))).toEqual([
      '0 events wait',
      '1 event waits',
      '2 events wait',
    ])
    expect(countOf(1, 'event')).toBe('1 event')
  })

  it('no text counts with a plural alone', () => {
    const found = ['receiver/src', 'receiver/pages', 'sdk/src'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.tsx?$/.test(name))
        .flatMap((name) => {
          const path = join(folder, name)
          const lines = readFileSync(join(root, path), 'utf8').split('\n')
          return lines
            .filter((line) => new RegExp(`\\$\\{[^{}]*\\} (?:\\w+ )?(?:${nouns})\\b`).test(line))
            .filter((line) => !/^\s*(?:\*|\/\/)/.test(line) && !exempt.some((one) => line.includes(one)))
            .map((line) => `${path}: ${line.trim()}`)
        }),
    )
    expect(found).toEqual([])
  })
})
