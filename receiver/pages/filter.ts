/** The search line of the explorer: words, "a phrase", node:arm, type:node_error, -type:log_info, service:pump, level>=error, or a {selector}. */

export interface Filter {
  /** Parameters of GET /events and of the stream. */
  parameters: { [name: string]: string }
  /** What of the line is not understood; '' when all is. */
  problem: string
}

type Condition = { [path: string]: unknown }

/** From level 10 on, in steps of ten. */
export const levels = ['debug', 'info', 'warning', 'error', 'critical']
const token = /(-?)(\w+)(:|>=)("[^"]*"|\S+)|"([^"]*)"|(\S+)/g

export function parseLine(line: string): Filter {
  const text = line.trim()
  if (text.startsWith('{')) return readSelector(text)
  const parameters: { [name: string]: string } = {}
  const conditions: Condition[] = []
  const words: string[] = []
  let problem = ''
  for (const match of text.matchAll(token)) {
    const [whole, minus, name, sign, given = '', phrase, word] = match
    const value = given.replace(/^"|"$/g, '')
    if (name === undefined) words.push(phrase ?? word ?? '')
    else if (name === 'level') {
      if (levels.includes(value) && minus === '') parameters.level = value
      else problem = `level is one of ${levels.join(', ')}`
    } else if (sign === ':' && Object.hasOwn(toConditions, name)) {
      const condition = toConditions[name]!(value)
      conditions.push(minus === '-' ? { $nor: [condition] } : condition)
    } else if (sign === ':' && name === 'service' && minus === '') parameters.service = value
    // As 'http://…' and '12:30', which are words.
    else words.push(whole)
  }
  if (words.length > 0) parameters.search = words.join(' ')
  if (conditions.length > 0)
    parameters.selector = JSON.stringify(conditions.length > 1 ? { $and: conditions } : conditions[0])
  return { parameters, problem }
}

function readSelector(text: string): Filter {
  try {
    JSON.parse(text)
    return { parameters: { selector: text }, problem: '' }
  } catch (error) {
    return { parameters: {}, problem: `the selector is no JSON: ${(error as Error).message}` }
  }
}

const anyOf = (value: string, ...paths: string[]): Condition => ({
  $or: paths.map((path) => ({ [path]: value })),
})

const toConditions: { [name: string]: (value: string) => Condition } = {
  node: (value) =>
    anyOf(
      value,
      'source.node_id',
      'event_data.node_name',
      'event_data.node_info.node_name',
      'event_data.component_name',
    ),
  type: (value) => anyOf(value, 'event_type', 'event_data.event_type'),
  workflow: (value) =>
    anyOf(value, 'source.workflow_id', 'event_data.workflow_id', 'event_data.workflow_name'),
  experiment: (value) => anyOf(value, 'source.experiment_id', 'event_data.experiment_id'),
  trace: (value) => ({ trace_id: value }),
}

/** A word of the line for `name`, in quotes where it has blanks. */
export const toToken = (name: string, value: string) =>
  `${name}:${/[\s"]/.test(value) ? `"${value.replaceAll('"', '')}"` : value}`
