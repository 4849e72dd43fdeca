import { isDeepStrictEqual, stripVTControlCharacters } from 'node:util'
import { isObject } from '../event/event.ts'
import { isError } from '../realm.ts'

/** What winston hands to its transports: the line as an object, and under symbols what it is made of. */
export type Info = { [key: string | symbol]: unknown }

const messageSymbol = Symbol.for('message')
const splatSymbol = Symbol.for('splat')

/** Plain text: what colours a terminal is none of it. */
export const toPlainText = (text: string): string =>
  text.includes('\u001b') ? stripVTControlCharacters(text) : text

/** winston takes an error for a line; what an error has does not show when it is copied. */
export function toLine(info: Info): Info {
  if (!isError(info)) return { ...info }
  const { message, stack } = info
  return { ...info, message, stack, ...readCauses(info), [splatSymbol]: [info] }
}

/**
 * The line as its format leaves it. A format that ends in JSON may hide or change values while it writes
 * (`json({ replacer })`): what it wrote counts then, and what it wrote as it was keeps its own type.
 */
export function readWritten(line: Info): Info {
  const written = parseWritten(line[messageSymbol])
  if (written === undefined) return line
  if (Object.hasOwn(written, '@fields')) return { ...line, ...readLogstash(written) }
  // Of another form, such as that of ECS, it does not say what became of the line's own members.
  if (!Object.hasOwn(written, 'level')) return line
  const read: Info = { ...line }
  for (const key of Object.keys(read)) {
    if (Object.hasOwn(written, key)) {
      if (!isWrittenAs(read[key], written[key])) read[key] = written[key]
    } else if (key !== 'message' && key !== 'stack') delete read[key]
  }
  return read
}

/** What the line went through since: true when its text is a new one. */
export const isRewritten = (line: Info, before: Info): boolean =>
  line[messageSymbol] !== before[messageSymbol]

function parseWritten(text: unknown): { [key: string]: unknown } | undefined {
  if (typeof text !== 'string' || !text.startsWith('{')) return undefined
  try {
    const written: unknown = JSON.parse(text)
    return isObject(written) ? written : undefined
  } catch {
    return undefined
  }
}

/** Whether winston's json() makes this of the value by itself. */
function isWrittenAs(value: unknown, written: unknown): boolean {
  try {
    const text = JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? String(one) : one))
    return isDeepStrictEqual(JSON.parse(text), written)
  } catch {
    return false // it cannot be told: what was written counts
  }
}

/** `logstash()` moves the message and the time to where Logstash has them. */
function readLogstash(written: { [key: string]: unknown }): { [key: string]: unknown } {
  const moved: { [key: string]: unknown } = {}
  if (written['@message'] !== undefined) moved.message = written['@message']
  if (written['@timestamp'] !== undefined) moved.timestamp = written['@timestamp']
  return moved
}

/**
 * The error that a line is about: `logger.error(error)`, `logger.error('text', error)`, or what `format.errors()` left of
 * one. Undefined without a stack.
 */
export function readException(line: Info): { [key: string]: unknown } | undefined {
  const { stack, message } = line
  const splat = line[splatSymbol]
  const given = Array.isArray(splat) ? (splat.find(isError) as Error | undefined) : undefined
  if (typeof stack !== 'string') return undefined
  if (given === undefined)
    return { type: typeOfStack(stack), message, stacktrace: stack, ...readCauses(line) }
  // A format may have hidden some of it.
  const isSaid = typeof message === 'string' && message.includes(given.message)
  const causes = { ...readCauses(given as unknown as Info), ...readCauses(line) }
  return { type: given.name, message: isSaid ? given.message : message, stacktrace: stack, ...causes }
}

function readCauses({ cause, errors }: Info): { [key: string]: unknown } {
  return { ...(cause !== undefined && { cause }), ...(Array.isArray(errors) && { errors }) }
}

/** `TypeError: jam`, `Error [ERR_CODE]: …`: what stands before the message. */
function typeOfStack(stack: string): string {
  const [line = ''] = stack.split('\n', 1)
  const [name = ''] = line.split(/[: ]/, 1)
  return /^[A-Z][\w$.]*$/.test(name) ? name : 'Error'
}
