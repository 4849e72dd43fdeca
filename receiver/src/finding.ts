/** What a check found, and what to do about it. */
export interface Finding {
  check: 'settings' | 'database' | 'port' | 'clock' | 'disk' | 'backup' | 'alerts'
  /** A problem keeps the receiver from working; a warning does not, yet. */
  state: 'good' | 'warning' | 'problem'
  text: string
  /** What to do; always given with a warning or a problem. */
  advice?: string
}

export const good = (check: Finding['check'], text: string): Finding => ({ check, state: 'good', text })
export const warning = (check: Finding['check'], text: string, advice: string): Finding => ({
  check,
  state: 'warning',
  text,
  advice,
})
export const problem = (check: Finding['check'], text: string, advice: string): Finding => ({
  check,
  state: 'problem',
  text,
  advice,
})
