import { count, flag, orNull, setting } from './setting.ts'

/** Copies of all events, by a schedule. */
export const backupSettings = {
  backup_enabled: flag('makes backups by the schedule'),
  backup_schedule: setting({
    fallback: '',
    unit: 'cron',
    about:
      'when, `@daily` if not set: five fields in local time, or `@hourly`, `@daily`, `@weekly`, `@monthly`; one that was due while no receiver ran is made at the start',
    parse: (given) => (given === '' ? undefined : parseSchedule(given)),
    schema: orNull('string'),
  }),
  backup_dir: setting({
    fallback: '.madsci/backups/events',
    unit: 'path',
    about:
      'folder of the backups, from the working directory; `.madsci/…` lies in the nearest `.madsci/` upwards, or beside `.git`',
    parse: (given) => given,
    schema: { type: 'string', format: 'path' },
  }),
  backup_max_count: count(10, 1, {
    unit: 'backups',
    about: 'of each description, the oldest beyond this number are deleted; those of other descriptions stay',
  }),
}

function parseSchedule(text: string): string {
  if (/^(@(hourly|daily|weekly|monthly)|(\S+\s+){4}\S+)$/.test(text.trim())) return text.trim()
  throw new Error(`must be five fields of cron, like "30 2 * * *", or @daily and the like: '${text}'`)
}
