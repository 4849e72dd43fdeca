import { expect, it } from 'vitest'
import { mutationsOf } from './mutation.ts'

it('operators, booleans and calls are mutated, each alone; types are not', () => {
  const source = "type T = true\nconst ü = a < b && c === 'x < y'\nawait save({ j: true })\n"
  const mutated = mutationsOf(source).map(
    ({ start, end, text }) => source.slice(0, start) + text + source.slice(end),
  )
  expect(mutated.map((text) => text.split('\n').slice(1, 3))).toEqual([
    ["const ü = a <= b && c === 'x < y'", 'await save({ j: true })'],
    ["const ü = a < b || c === 'x < y'", 'await save({ j: true })'],
    ["const ü = a < b && c !== 'x < y'", 'await save({ j: true })'],
    ["const ü = a < b && c === 'x < y'", ';'],
    ["const ü = a < b && c === 'x < y'", 'await save({ j: false })'],
  ])
})
