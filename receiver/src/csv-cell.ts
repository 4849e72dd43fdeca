/**
 * Cells of CSV that no spreadsheet takes for a formula.
 *
 * A text gets an apostrophe in front when it begins with `=`, `+`, `-`, `@` (also full-width or small), a tab or a line end, whatever
 * spaces, quotes, apostrophes, control and invisible characters stand before that. A negative number (`-5`, `-0.25`, `-1e9`) stays as it
 * is, and so does a negative duration of MADSci's reports (`-2200.0 seconds`). The rule can be undone: an apostrophe is ours exactly when
 * what follows it is such a text.
 */

const formula = /^[\s'"\p{Cc}\p{Cf}]*[=+\-@＝＋－＠﹦﹢﹣﹫\t\r\n]/u
const negative = /^-\d+(\.\d+)?(e[+-]?\d+)?( (seconds|minutes|hours|days))?$/i

const isActive = (text: string) => formula.test(text) && !negative.test(text)

/** Text as a spreadsheet may see it, in quotes where RFC 4180 asks for them. */
export function toCsvCell(text: string): string {
  const inert = isActive(text) ? `'${text}` : text
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert
}

/** The text behind what `toCsvCell` wrote, its quotes already taken away. */
export function fromCsvCell(cell: string): string {
  return cell.startsWith("'") && isActive(cell.slice(1)) ? cell.slice(1) : cell
}
