import { useEffect, useRef } from 'preact/hooks'

/** Draws after each render, and anew when the window's size or the theme changes. */
export function useDrawing(draw: () => void): void {
  const latest = useRef(draw)
  latest.current = draw
  useEffect(() => latest.current())
  useEffect(() => {
    const again = () => latest.current()
    const dark = matchMedia('(prefers-color-scheme: dark)')
    addEventListener('resize', again)
    dark.addEventListener('change', again)
    return () => {
      removeEventListener('resize', again)
      dark.removeEventListener('change', again)
    }
  }, [])
}
