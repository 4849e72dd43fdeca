import type { SearchProblem } from '../src/search/line.ts'
import { ask } from './state.ts'

/** What of a line is not understood. Asked for first: a browser reports each refusal of a list as an error of its own. */
export async function findProblem(line: string): Promise<SearchProblem | undefined> {
  if (line === '') return undefined
  const text = await ask(`/data/search?${new URLSearchParams({ q: line })}`)
  return (JSON.parse(text) as { problem: SearchProblem | null }).problem ?? undefined
}
