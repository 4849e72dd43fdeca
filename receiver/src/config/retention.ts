import { eventTypes, namesOfType, parseEventType, parseLevel } from '@madsci-events/sdk/event'
import { closestTo } from '../closest.ts'
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
  const example = '[{"event_type": ["log_debug"], "max_level": 10, "soft_delete_after_days": 7}]'
  if (!Array.isArray(rules)) throw new Error(`must be a list like ${example}`)
  return rules.map((rule, index) => {
    const fail = (text: string): never => {
      throw new Error(`is not right: rule ${index + 1} ${text}; one looks like ${example}`)
    }
    const { event_type: types, max_level: level, soft_delete_after_days: days, ...others } = rule ?? {}
    const [other] = Object.keys(others)
    if (other !== undefined) fail(`has a member '${other}'`)
    const known = [types ?? []].flat().map((type) => {
      const near = typeof type === 'string' ? closestTo(type, eventTypes) : undefined
      return (
        parseEventType(type) ?? fail(`names no event type: '${type}'${near ? `, did you mean ${near}?` : ''}`)
      )
    })
    const maxLevel = level === undefined ? undefined : parseLevel(level)
    if (level !== undefined && maxLevel === undefined) fail(`has no level as max_level: '${level}'`)
    if (!Number.isInteger(days) || days < 1) fail('needs soft_delete_after_days, a whole number from 1')
    return {
      ...(known.length > 0 && { types: known.flatMap((type) => namesOfType(type!)) }),
      ...(maxLevel !== undefined && { maxLevel }),
      softDeleteAfterDays: days as number,
    }
  })
}
