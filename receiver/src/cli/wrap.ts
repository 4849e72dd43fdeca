import type { Output } from './terminal.ts'

/** Lines that fit the terminal; what a file or a program reads stays one line. */
export const toFit = (text: string, indent: number, { isTTY, columns }: Pick<Output, 'isTTY' | 'columns'>) =>
  isTTY ? wrap(text, indent, columns) : [text]

/** Words in lines of at most so many columns; those after the first begin below `indent`. A longer word is not cut. */
export function wrap(text: string, indent: number, columns = 80): string[] {
  const lines: string[] = []
  const rest = text.trimStart()
  const margin = ' '.repeat(text.length - rest.length)
  let line = margin
  for (const word of rest.split(/ (?! )/)) {
    if (line.trim() !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = ' '.repeat(indent) + word
    } else line += line === margin && lines.length === 0 ? word : ` ${word}`
  }
  return [...lines, line]
}
