import { EventError, type Value } from '@madsci-events/sdk/event'
import { type ParseSelectorOptions, parseSelector } from '../store/selector.ts'
import { type SubjectKind, subjectCondition } from '../subject.ts'
import { demandEqual, fieldCondition, isField, placedText, subjectKindOf, suggestField } from './field.ts'
import { NotUnderstood, type SearchProblem, type Term, toTerms } from './line.ts'
import { parseLiteral } from './literal.ts'

/** Something that a line calls by name or id. */
export interface Named {
  kind: SubjectKind
  name: string
}

/** A line that is understood. */
export interface Search {
  /** What it calls by name: whoever knows which ids they have tells `toSelector`. */
  names: readonly Named[]
  /** The selector of it; undefined for a line without terms. */
  toSelector(idsOf: (named: Named) => readonly string[]): Value | undefined
}

export interface SearchOptions {
  now: Date
  selector?: ParseSelectorOptions
}

const limits = { characters: 10_000, terms: 50, values: 100 }

/**
 * Compiles a line of the search language (line.ts) to a selector. Any text gives one or the other, in time that grows with its
 * length alone; what `toSelector` gives is accepted by `parseSelector`.
 */
export function parseSearch(line: string, options: SearchOptions): Search | { problem: SearchProblem } {
  try {
    checkCharacters(line)
    const terms = toTerms(line, { has: isField, suggest: suggestField })
    if (terms.length > limits.terms)
      throw new NotUnderstood(`a search has at most ${limits.terms} terms`, terms[limits.terms]!)
    const parts = terms.map((term) => {
      const part = toPart(term, options)
      check(
        part(() => []),
        term,
        options,
      )
      return part
    })
    const toSelector: Search['toSelector'] = (idsOf) => {
      const conditions = parts.map((part) => part(idsOf))
      return conditions.length > 1 ? { $and: conditions } : conditions[0]
    }
    const whole = toSelector(() => [])
    if (whole !== undefined) check(whole, { start: 0, end: line.length }, options)
    return { names: terms.flatMap(namesIn), toSelector }
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error
    const { start, end, message } = error
    return { problem: { column: start + 1, length: end - start, message } }
  }
}

function checkCharacters(line: string): void {
  const refuse = (why: string, start: number) => {
    throw new NotUnderstood(why, { start, end: start + 1 })
  }
  if (line.length > limits.characters)
    refuse(`a search has at most ${limits.characters} characters`, limits.characters)
  const nul = line.indexOf('\0')
  if (nul >= 0) refuse('there is a NUL', nul)
  if (line.isWellFormed()) return
  refuse('there is half a character', [...line].reduce(beforeHalf, { at: 0, isFound: false }).at)
}

function beforeHalf(place: { at: number; isFound: boolean }, character: string) {
  if (place.isFound) return place
  return character.isWellFormed()
    ? { at: place.at + character.length, isFound: false }
    : { ...place, isFound: true }
}

/** Throws NotUnderstood for a part that the store does not take. */
function check(condition: Value, place: { start: number; end: number }, options: SearchOptions): void {
  try {
    parseSelector(condition, options.selector)
  } catch (error) {
    if (!(error instanceof EventError) || error.code !== 'EVT_SELECTOR') throw error
    throw new NotUnderstood(error.message, place)
  }
}

type Part = (idsOf: (named: Named) => readonly string[]) => Value

const namesIn = (term: Term): Named[] => {
  if (term.kind !== 'field') return []
  const kind = subjectKindOf(term.name)
  return kind === undefined ? [] : term.values.map(({ text }) => ({ kind, name: text }))
}

function toPart(term: Term, options: SearchOptions): Part {
  const part = toPlainPart(term, options)
  return term.isExcluded ? (idsOf) => ({ $nor: [part(idsOf)] }) : part
}

function toPlainPart(term: Term, { now }: SearchOptions): Part {
  const always = (condition: Value) => () => condition
  if (term.kind === 'text') return always(placedText(term))
  if (term.kind === 'selector') return always(toGivenSelector(term))
  const { name, values } = term
  if (values.length > limits.values)
    throw new NotUnderstood(`${name} takes at most ${limits.values} values`, values[limits.values]!)
  const kind = subjectKindOf(name)
  if (kind === undefined) return always(fieldCondition(term, now))
  demandEqual(term)
  const names = values.map(({ text }) => text)
  return (idsOf) => {
    const ids = names.flatMap((one) => idsOf({ kind, name: one }))
    return subjectCondition(kind, names, ids)
  }
}

function toGivenSelector(term: Term & { kind: 'selector' }): Value {
  try {
    return parseLiteral(term.text)
  } catch (error) {
    const at = /at character (\d+)$/.exec((error as Error).message)?.[1]
    const start = term.start + (term.isExcluded ? 1 : 0) + Number(at ?? 0)
    throw new NotUnderstood('the selector is no JSON', { start, end: Math.max(start, term.end) })
  }
}
