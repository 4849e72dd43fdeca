import { expect, it } from 'vitest'
import { toLogLine } from '../../../receiver/src/cli/log-line.ts'

const line = (fields: object) => JSON.stringify({ level: 40, time: 1_795_000_000_000, pid: 1, ...fields })
const bare = (text: string) => text.replace(/^\d\d:\d\d:\d\d /, '')

it('is a sentence with its fields, for people', () => {
  expect(toLogLine(line({ msg: 'the disk is nearly full' }), false)).toMatch(
    /^\d\d:\d\d:\d\d WARN {2}the disk/,
  )
  const text = line({ free: 1048576, path: '/data', why: 'two words', msg: 'the disk is nearly full' })
  expect(bare(toLogLine(text, false))).toBe(
    'WARN  the disk is nearly full  free=1048576  path=/data  why="two words"',
  )
  const error = line({ level: 50, err: { message: 'no such file', stack: 'Error: …' }, msg: 'it failed' })
  expect(bare(toLogLine(error, false))).toBe('ERROR it failed  error="no such file"')
  expect(toLogLine(error, true)).toContain('\x1b[31mERROR\x1b[0m')
})

it('text of others does nothing to the terminal, and no line is more than one', () => {
  const hostile = line({ msg: 'a\x1b[31m\nb\u202ec', name: '\x1b]0;title\x07', other: '\u009b2J' })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(toLogLine(hostile, false)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/)
})

it('what is no JSON object stays as it is', () => {
  expect(toLogLine('7', false)).toBe('7')
})
