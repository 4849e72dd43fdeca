import { countOf } from '../plural.ts'
import type { Terminal } from './terminal.ts'

export interface Progress {
  /** So much of the total is done; `text` says it to people. */
  show(done: number, text?: string): void
  /** Wipes the line. */
  end(): void
}

/** A line that is written over while a terminal watches, ten times a second at most: a bar, when the total is known. */
export function createProgress({ stderr }: Terminal, total: number | undefined): Progress {
  const startMs = Date.now()
  let lastMs = 0
  return {
    show(done, text = countOf(done, 'event')) {
      const nowMs = Date.now()
      if (!stderr.isTTY || nowMs - lastMs < 100) return
      lastMs = nowMs
      const share = total ? Math.min(1, done / total) : undefined
      const bar =
        share === undefined
          ? ''
          : `[${'#'.repeat(Math.round(share * 30)).padEnd(30)}] ${Math.floor(share * 100)} %  `
      stderr.control('\r\x1b[K')
      stderr.write(`${bar}${text}  ${Math.round((nowMs - startMs) / 1000)} s `)
    },
    end() {
      if (stderr.isTTY) stderr.control('\r\x1b[K')
    },
  }
}
