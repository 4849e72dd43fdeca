import { namesOfType, parseEventType, parseLevel } from '@madsci-events/sdk/event'
import { count, flag, structured } from './setting.ts'

/** How long events rest. */
export const retentionSettings = {
  retention_enabled: flag('archives old events, and deletes what was archived long ago'),
  soft_delete_after_days: count(90, 1, { unit: 'days', about: 'age at which events are archived' }),
  hard_delete_after_days: count(365, 1, {
    unit: 'days',
    about: 'how long archived events stay before they are deleted',
  }),
  retention_check_interval_hours: count(24, 1, {
    unit: 'hours',
    about: 'time between two runs of the retention; the first is at the start',
  }),
  archive_batch_size: count(1000, 1, {
    unit: 'events',
    about: 'events of one commit of archive, purge and retention',
  }),
  max_batches_per_run: count(100, 0, {
    unit: 'commits',
    about: 'commits of one run of the retention; 0 = no limit, what is left waits for the next run',
  }),
  fail_on_retention_error: flag('a failed run ends the retention until the next start'),
  retention_rules: structured('[]', {
    unit: 'JSON',
    about:
      'list of {"event_type": […], "max_level": 20, "soft_delete_after_days": 7}: events that match rest so long instead; the first rule that matches counts',
    parse: parseRetentionRules,
    schema: { type: 'array', items: { type: 'object' } },
    show: (rules) =>
      rules.map(({ types, maxLevel, softDeleteAfterDays }) => ({
        ...(types && { event_type: types }),
        ...(maxLevel !== undefined && { max_level: maxLevel }),
        soft_delete_after_days: softDeleteAfterDays,
      })),
  }),
}

/** Events of one of these types (any if not given) and at most this log_level (any if not given). */
export interface RetentionRuleSetting {
  types?: string[]
  maxLevel?: number
  softDeleteAfterDays: number
}

function parseRetentionRules(rules: unknown): RetentionRuleSetting[] {
  const wrong = () =>
    new Error(
      'must be a list like [{"event_type": ["log_debug"], "max_level": 10, "soft_delete_after_days": 7}]',
    )
  if (!Array.isArray(rules)) throw wrong()
  return rules.map((rule) => {
    const { event_type: types, max_level: level, soft_delete_after_days: days, ...others } = rule ?? {}
    const known = [types ?? []].flat().map((type) => parseEventType(type))
    const maxLevel = level === undefined ? undefined : parseLevel(level)
    const isSound =
      Number.isInteger(days) && days >= 1 && !known.includes(undefined) && Object.keys(others).length === 0
    if (!isSound || (level !== undefined && maxLevel === undefined)) throw wrong()
    return {
      ...(known.length > 0 && { types: known.flatMap((type) => namesOfType(type!)) }),
      ...(maxLevel !== undefined && { maxLevel }),
      softDeleteAfterDays: days as number,
    }
  })
}
