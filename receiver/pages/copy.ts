/** Copies text, also on plain http, where browsers have no clipboard API. False when the browser refuses. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text)
      return true
    }
  } catch {
    // The old way may still work.
  }
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'copying'
  const { activeElement } = document
  document.body.append(area)
  area.select()
  try {
    return document.execCommand('copy')
  } finally {
    area.remove()
    if (activeElement instanceof HTMLElement) activeElement.focus()
  }
}
