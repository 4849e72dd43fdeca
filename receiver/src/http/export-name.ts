const maxLength = 120
/** How the answer comes, not which events it has. */
const ofForm = new Set(['format', 'order', 'number', 'cursor', 'offset'])

/**
 * The name of a file of events says which events it holds and on which clock:
 * `events_node-arm_level-error_from-2026-11-27T13.00.00Z_UTC.csv`. `asked` are the parameters of GET /events.
 */
export function toExportName(asked: Iterable<[name: string, value: string]>, ending: string): string {
  const words: string[] = []
  const times: string[] = []
  for (const [name, value] of asked) {
    if (ofForm.has(name) || value === '') continue
    if (name === 'start_time') times.push(`from-${value}`)
    else if (name === 'end_time') times.push(`until-${value}`)
    else words.push(name === 'q' || name === 'selector' ? value : `${name} ${value}`)
  }
  const filter = words.map(plain).filter((word) => word !== '')
  const clock = [...times.map((time) => plain(time.replaceAll(':', '.'))), 'UTC']
  const room = maxLength - clock.join('_').length
  return `${['events', filter.join('_').slice(0, Math.max(0, room)), ...clock].filter((part) => part !== '').join('_')}.${ending}`
}

/** Letters, digits and points between, each run of others a hyphen: what every file system takes. */
function plain(text: string): string {
  let result = ''
  for (const character of text.slice(0, maxLength * 4))
    if (isPlain(character) || (character === '.' && isPlain(result.at(-1) ?? ''))) result += character
    else if (result !== '' && !result.endsWith('-')) result += '-'
  return result.endsWith('-') ? result.slice(0, -1) : result
}

const isPlain = (character: string) =>
  (character >= '0' && character <= '9') ||
  (character >= 'a' && character <= 'z') ||
  (character >= 'A' && character <= 'Z')
