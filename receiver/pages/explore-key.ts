import { useEffect, useRef } from 'preact/hooks'

/** The keys of the explorer. */
export interface Keys {
  isLive: boolean
  togglePause: () => void
  move: (by: 1 | -1) => void
  close: () => void
}

export function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  latest.current = keys
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { isLive, togglePause, move, close } = latest.current
      const { target } = event
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return
      if (event.key === 'Escape') return close()
      if (
        target instanceof HTMLElement &&
        /^(INPUT|SELECT|BUTTON|TEXTAREA|A)$/.test(target.tagName) &&
        event.key === ' '
      )
        return
      if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return
      if (event.key === 'j' || event.key === 'ArrowDown') move(1)
      else if (event.key === 'k' || event.key === 'ArrowUp') move(-1)
      else if (event.key === ' ' && isLive) togglePause()
      else if (event.key === '/') document.querySelector<HTMLInputElement>('input[type=search]')?.focus()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}
