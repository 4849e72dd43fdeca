import { eventLevels, parseLevel } from '@madsci-events/sdk/event'
import { count, flag, group, optionalText, setting, structured, text } from './setting.ts'
import { parseTexts } from './value.ts'

/** Which events raise alerts, and who is told. */
export const alertSettings = {
  alert_level: setting({
    fallback: '40',
    unit: 'level',
    about: 'events of at least this log_level raise an alert; a name or a number',
    parse(given) {
      const level = parseLevel(given.trim())
      if (level === undefined)
        throw new Error(`must be debug, info, warning, error, critical or its number: '${given}'`)
      return level
    },
    schema: { type: 'integer', enum: eventLevels },
  }),
  email_alerts: group('mails about alerts; not set: none', {
    smtp_server: text('smtp.example.com', { unit: 'host', about: 'mail server' }),
    smtp_port: count(587, 1, { unit: 'port', about: 'its port', most: 65535 }),
    smtp_username: optionalText({ unit: 'text', about: 'login, when there is a password too', secret: true }),
    smtp_password: optionalText({ unit: 'text', about: 'login', secret: true }),
    use_tls: flag('STARTTLS', true),
    sender: text('no-reply@example.com', { unit: 'address', about: 'From' }),
    default_importance: text('Normal', { unit: 'text', about: '`High`, `Normal` or `Low`' }),
    email_addresses: structured('[]', {
      unit: 'JSON',
      about: 'list of addresses that are told',
      parse: parseTexts,
      show: (list) => list,
      schema: { type: 'array', items: { type: 'string' } },
    }),
  }),
}
