/** One measured line: what, how much, and beside what. */
export interface Figure {
  what: string
  value: number
  unit: string
}

/** A ratio that somebody is waiting for. */
export interface Verdict {
  what: string
  ratio: number
  /** 'least': the ratio should be at least `bound`; 'most': at most. */
  kind: 'least' | 'most'
  bound: number
  aim?: number
}

export interface Report {
  question: string
  figures: Figure[]
  verdicts: Verdict[]
  /** Why a part was left out. */
  skipped: string[]
}

export interface Bench {
  question: string
  /**
   * `scale` 1 is a real run; the tests run each bench once, very small, to see that its answers are right. One that takes long
   * prints each figure as it comes.
   */
  run(scale: number, print?: (line: string) => void): Promise<Report>
}

export function createReport(
  question: string,
  print: (line: string) => void = () => {},
): Report & {
  note(what: string, value: number, unit: string): void
  judge(verdict: Verdict): void
} {
  const report: Report = { question, figures: [], verdicts: [], skipped: [] }
  return {
    ...report,
    note(what, value, unit) {
      const figure = { what, value, unit }
      report.figures.push(figure)
      print(toFigureLine(figure))
    },
    judge: (verdict) => void report.verdicts.push(verdict),
  }
}

export function toText(report: Report): string {
  const lines = [report.question]
  lines.push(...report.figures.map(toFigureLine))
  for (const { what, ratio, kind, bound, aim } of report.verdicts) {
    const holds = kind === 'least' ? ratio >= bound : ratio <= bound
    const wish = `${kind === 'least' ? 'at least' : 'at most'} ${bound}${aim === undefined ? '' : `, aim ${aim}`}`
    lines.push(`  ${holds ? 'holds' : 'MISSED'}  ${what.padEnd(50)} ${ratio.toFixed(2)} (${wish})`)
  }
  for (const reason of report.skipped) lines.push(`  skipped: ${reason}`)
  return `${lines.join('\n')}\n`
}

const toFigureLine = ({ what, value, unit }: Figure) => `  ${what.padEnd(58)} ${format(value)} ${unit}`

function format(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}

/** The middle one; of two, the lower. */
export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}
