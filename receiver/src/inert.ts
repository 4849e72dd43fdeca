/**
 * Text of others where people read it. Control characters (C0, DEL, C1), characters without a shape of their own (bidirectional controls,
 * zero-width ones, tags) and the separators of lines and paragraphs are shown as JSON writes them, `\u001b`: a terminal obeys none
 * of them, nothing is hidden or shown in another order, and JSON remains the same JSON.
 */

const activeInLine = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
const activeInText = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu
// A code point above U+FFFF as its two halves, as JSON does.
const show = (character: string) =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')

/** Text that becomes one line: line feeds are shown too, so that nobody's text begins a line of ours. */
export const toInertLine = (text: string): string => text.replace(activeInLine, show)

/** Text whose line feeds are ours, or JSON. */
export const toInertText = (text: string): string => text.replace(activeInText, show)

/** Text of CSV: its line ends (CR LF) stay. */
export const toInertCsv = (text: string): string => text.split('\r\n').map(toInertText).join('\r\n')
