import { isObject, parseJson, toJson, type Value } from '@madsci-events/sdk/event'
import { toInertLine } from '../inert.ts'

const words: { [level: string]: [word: string, code: number] } = {
  10: ['TRACE', 90],
  20: ['DEBUG', 90],
  30: ['INFO', 34],
  40: ['WARN', 33],
  50: ['ERROR', 31],
  60: ['FATAL', 31],
}
const own = new Set(['level', 'time', 'pid', 'msg', 'err'])

/** A line of the receiver's own log as people read it: `14:02:11 WARN the disk is nearly full  free=1048576`. */
export function toLogLine(json: string, hasColour: boolean): string {
  const line = parseJson(json)
  if (!isObject(line)) return json
  const [word, code] = words[String(line.level)] ?? ['INFO', 34]
  const time = new Date(Number(line.time)).toTimeString().slice(0, 8)
  const level = hasColour ? `\x1b[${code}m${word.padEnd(5)}\x1b[0m` : word.padEnd(5)
  const fields = Object.keys(line)
    .filter((name) => !own.has(name))
    .map((name) => `${name}=${shownValue(line[name]!)}`)
  const { err } = line
  const error = isObject(err) && typeof err.message === 'string' ? [`error=${shownValue(err.message)}`] : []
  // JSON hid what text of others would do to a terminal; here it must be hidden again.
  const text = toInertLine([shownValue(line.msg ?? '', true), ...fields, ...error].join('  '))
  return `${time} ${level} ${text}`
}

const shownValue = (value: Value, isSentence = false): string =>
  typeof value === 'string' && (isSentence || /^[\w./:@-]+$/.test(value)) ? value : toJson(value)
