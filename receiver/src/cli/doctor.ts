import { examine } from '../doctor/doctor.ts'
import type { Finding } from '../finding.ts'
import { countOf } from '../plural.ts'
import type { CommandCall } from './call.ts'
import { toConfigOptions } from './setting.ts'
import type { Terminal } from './terminal.ts'
import { toFit } from './wrap.ts'

const marks: { [state in Finding['state']]: string } = { good: 'ok', warning: 'warning', problem: 'PROBLEM' }

const indent = 19

/** Prints what every check found, as it is found. 1 when there is a problem. */
export async function doctor({ options, flags }: CommandCall, terminal: Terminal): Promise<number> {
  const { stdout } = terminal
  const findings: Finding[] = []
  for await (const finding of examine({
    ...toConfigOptions(terminal, flags),
    isTested: options.test === true,
  })) {
    findings.push(finding)
    if (options.json) continue
    const { check, state, text, advice } = finding
    const lines = [`${marks[state].padEnd(8)} ${check.padEnd(9)} ${text}`]
    if (advice !== undefined) lines.push(`${' '.repeat(indent)}${advice}`)
    for (const line of lines.flatMap((one) => toFit(one, indent, stdout))) stdout.line(line)
  }
  const count = (state: Finding['state']) => findings.filter((one) => one.state === state).length
  const [problems, warnings] = [count('problem'), count('warning')]
  if (options.json) stdout.write(`${JSON.stringify({ problems, warnings, findings })}\n`)
  else stdout.write(`\n${countOf(problems, 'problem')}, ${countOf(warnings, 'warning')}\n`)
  return problems > 0 ? 1 : 0
}
