type Parsed = string | boolean | null | Parsed[] | { [key: string]: Parsed }
type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown

/**
 * An answer of a report as text that two servers must agree on to the character: numbers as they were written, keys in
 * their order. Left out are the time of day, the order of a session's experiments, which the original takes from a Python
 * set, and the users in a periods report, which it computes and drops.
 */
export function toComparable(path: string, text: string): string {
  if (!text.startsWith('{'))
    return text.replace(/^Generated At,.*\r$/m, 'Generated At,…\r').replace(withoutUsers, '')
  const parse = JSON.parse as (text: string, reviver: Reviver) => Parsed
  const tree = parse(text, (_key, value, context) =>
    typeof value === 'number' ? `#${context.source}` : value,
  ) as { [key: string]: Parsed }
  if (path.startsWith('periods')) delete tree.user_utilization
  normalize(tree)
  return JSON.stringify(tree)
}

const withoutUsers = /=== USER UTILIZATION ===\r\n(?:.+\r\n)*\r\n/

function normalize(tree: Parsed): void {
  if (Array.isArray(tree)) {
    for (const one of tree) normalize(one)
    return
  }
  if (typeof tree !== 'object' || tree === null) return
  for (const [key, value] of Object.entries(tree)) {
    if (key === 'generated_at') tree[key] = '…'
    else if (key === 'experiment_details' && Array.isArray(value)) {
      const idOf = (one: Parsed) => String((one as { [key: string]: Parsed }).experiment_id)
      value.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1))
    } else normalize(value)
  }
}
