import { toProtobuf } from './record.ts'
import { Failure, NotTried, type Outcome, type Rule } from './rule.ts'
import { rules } from './rules.ts'
import { findSettled, post, type Target } from './target.ts'

export interface Line extends Pick<Rule, 'name' | 'about'> {
  outcome: Outcome
}

/** Tries every rule, one after the other. */
export async function tryAll(target: Target): Promise<Line[]> {
  const run = Date.now().toString(36)
  const lines: Line[] = []
  for (const [index, rule] of rules.entries())
    lines.push({
      name: rule.name,
      about: rule.about,
      outcome: await tryRule(rule, target, `zq${run}x${index}q`),
    })
  return lines
}

async function tryRule(rule: Rule, target: Target, marker: string): Promise<Outcome> {
  try {
    await rule.run({
      target,
      marker,
      post: (body, headers) => post(target.url, body, headers),
      send: (...all) => post(target.url, toProtobuf(...all), { 'content-type': 'application/x-protobuf' }),
      async stored(count, text = marker) {
        if (!target.find) throw new NotTried('nothing is read back')
        return findSettled(target.find, text, count)
      },
      expect(holds, why) {
        if (!holds) throw new Failure(why)
      },
    })
    return { state: 'holds', why: '' }
  } catch (error) {
    const state = error instanceof NotTried ? 'not tried' : 'fails'
    return { state, why: (error as Error).message }
  }
}

/** A table of Markdown: a rule a line, an endpoint a column. */
export function toTable(columns: { name: string; lines: Line[] }[]): string {
  const cell = ({ outcome: { state, why } }: Line) =>
    why === '' ? state : `${state}: ${why}`.replaceAll('|', '/')
  const rows = columns[0]!.lines.map(({ name, about }, index) => [
    name,
    about,
    ...columns.map(({ lines }) => cell(lines[index]!)),
  ])
  const head = ['rule', 'what it asks', ...columns.map(({ name }) => name)]
  const toRow = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [head, head.map(() => '---'), ...rows].map(toRow).join('\n')
}
