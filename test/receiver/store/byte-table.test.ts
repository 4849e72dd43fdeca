import { expect, it } from 'vitest'
import { createByteTable } from '../../../receiver/src/store/byte-table.ts'

const tableOf = (made: string[]) =>
  createByteTable({
    lastByte: 34,
    tellAt: [1, 2, 3, 4],
    make(part) {
      made.push(part)
      return part
    },
  })

const viewOf = (text: string) => new DataView(new TextEncoder().encode(text).buffer)

it('makes a value once for the same bytes, wherever they stand', () => {
  const made: string[] = []
  const table = tableOf(made)
  const text = viewOf('xnode_start"node_stop"äöü"node_start"node_stop"äöü"')
  expect([1, 12, 22, 29, 40, 50].map((from) => table.get(text, from))).toEqual([
    'node_start"',
    'node_stop"',
    'äöü"',
    'node_start"',
    'node_stop"',
    'äöü"',
  ])
  expect(made).toEqual(['node_start"', 'node_stop"', 'äöü"'])
})

it('tells parts apart that have the same beginning, end or slot, however many there are', () => {
  const table = tableOf([])
  const parts = Array.from({ length: 6000 }, (_, index) => `aaaaa${index % 7}bbbb${index}c"`)
  for (let round = 0; round < 2; round++)
    for (const part of parts) expect(table.get(viewOf(`${part}....`), 0)).toBe(part)
})

it('reads a part at the end of the text, short or without its last byte', () => {
  const table = tableOf([])
  expect(table.get(viewOf('ab"'), 0)).toBe('ab"')
  expect(table.get(viewOf('abcdefgh'), 0)).toBe('abcdefgh')
  expect(table.get(viewOf('abcdefgh"'), 0)).toBe('abcdefgh"')
  expect(table.get(viewOf('abcd'), 0)).toBe('abcd')
})
