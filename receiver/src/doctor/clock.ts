import { parseTimestamp } from '@madsci-events/sdk/event'
import { type Finding, good, warning } from '../finding.ts'
import { countOf } from '../plural.ts'

const largeOffsetMs = 2000
const jumpMs = 200
const futureMs = 300_000

/** Two clocks that should be one. */
export function compareClock(whose: string, offsetMs: number, toleranceMs: number): Finding {
  const side = offsetMs > 0 ? 'ahead of' : 'behind'
  const text = `${whose} is ${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${side} this machine's (± ${(toleranceMs / 1000).toFixed(1)} s)`
  if (Math.abs(offsetMs) <= Math.max(largeOffsetMs, toleranceMs * 2)) {
    return good(
      'clock',
      `${whose} agrees with this machine's to ${(Math.max(Math.abs(offsetMs), toleranceMs) / 1000).toFixed(1)} s`,
    )
  }
  return warning('clock', text, 'set both clocks by the same time server (chrony, systemd-timesyncd)')
}

/** A clock that was set while we looked, or that was wrong when the newest event came. */
export function inspectClock(newest: string | undefined, driftMs: number, nowMs: number): Finding[] {
  const findings: Finding[] = []
  if (Math.abs(driftMs) > jumpMs) {
    findings.push(
      warning(
        'clock',
        `this machine's clock jumped by ${Math.round(driftMs)} ms while doctor looked`,
        'let the time server slew the clock, not step it',
      ),
    )
  }
  const parsed = newest === undefined ? undefined : parseTimestamp(newest)
  const aheadMs = parsed && 'text' in parsed ? Date.parse(`${parsed.text.slice(0, 23)}Z`) - nowMs : 0
  if (aheadMs > futureMs) {
    findings.push(
      warning(
        'clock',
        `the newest event is ${countOf(Math.round(aheadMs / 60_000), 'minute')} from the future (${newest})`,
        'the clock of the program that sent it is wrong, or was; times without a zone count as UTC: naive_timezone',
      ),
    )
  }
  if (findings.length === 0)
    findings.push(good('clock', `this machine says ${new Date(nowMs).toISOString()}`))
  return findings
}
