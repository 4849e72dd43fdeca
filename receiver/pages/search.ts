import { useEffect, useRef } from 'preact/hooks'
import type { SearchAnswer } from '../src/http/search-answer.ts'
import { ask } from './state.ts'

/** What of a line is not understood. Asked for first: a browser reports each refusal of a list as an error of its own. */
export async function checkLine(line: string, patienceMs?: number): Promise<SearchAnswer> {
  if (line === '') return { problem: null, late_names: [] }
  const parameters = new URLSearchParams({ q: line, ...(patienceMs && { patience_ms: String(patienceMs) }) })
  return JSON.parse(await ask(`/data/search?${parameters}`)) as SearchAnswer
}

const latePatienceMs = 5000

/** Looks on for the names that were not found in time, and tells when they are. */
export function useLateNames(line: string, names: readonly string[], onFound: () => void): void {
  const latest = useRef(onFound)
  latest.current = onFound
  useEffect(() => {
    if (names.length === 0) return
    let timer = 0
    let isOver = false
    const look = async () => {
      const { late_names } = await checkLine(line, latePatienceMs).catch(() => ({ late_names: names }))
      if (isOver) return
      if (late_names.length === 0) latest.current()
      else timer = window.setTimeout(look, latePatienceMs)
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [line, names])
}
