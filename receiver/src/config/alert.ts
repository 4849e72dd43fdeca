import { eventLevels } from '@madsci-events/sdk/event'
import { toLevel } from '../level.ts'
import { showUrl } from '../url.ts'
import { count, flag, group, optionalText, setting, structured, text } from './setting.ts'
import { parseAddresses, parseObject, parsePublicUrl, parseTexts } from './value.ts'

const emailExample = '{"smtp_server": "smtp.lab.local", "email_addresses": ["me@lab.local"]}'

/** Which events raise alerts, and who is told. */
export const alertSettings = {
  alert_level: setting({
    fallback: '40',
    unit: 'level',
    about:
      'events of at least this log_level raise an alert; a name (`debug`, `info`, `warning` or `warn`, `error`, `critical` or `fatal`) or a number',
    parse(given) {
      const level = toLevel(given)
      if (level === undefined)
        throw new Error(`must be debug, info, warning, error, critical or its number: '${given}'`)
      return level
    },
    schema: { type: 'integer', enum: eventLevels },
  }),
  email_alerts: group('mails about alerts; not set: none', emailExample, {
    smtp_server: setting({
      fallback: 'smtp.example.com',
      unit: 'host',
      about: 'mail server',
      parse: (given) => given,
      show: (host) => showUrl(host),
      schema: { type: 'string' },
    }),
    smtp_port: count(587, 1, { unit: 'port', about: 'its port', most: 65535 }),
    smtp_username: optionalText({ unit: 'text', about: 'login, when there is a password too', secret: true }),
    smtp_password: optionalText({ unit: 'text', about: 'login', secret: true }),
    use_tls: flag('STARTTLS', true),
    use_ssl: flag('TLS from the first byte; port 465 means it too', false),
    tls_ca_file: optionalText({ unit: 'path', about: 'certificates to trust beside those of the system' }),
    sender: text('no-reply@example.com', { unit: 'address', about: 'From' }),
    default_importance: setting({
      fallback: '',
      unit: 'text',
      about: '`High`, `Normal` or `Low`; not set: `High` for what fires, `Normal` for the rest',
      parse: (given) => given,
      // As MADSci shows what is not set.
      show: (given) => given || 'Normal',
      schema: { type: 'string' },
    }),
    email_addresses: structured('[]', {
      takesText: true,
      unit: 'JSON',
      about: 'list of addresses that are told, or one',
      parse: parseAddresses,
      show: (list) => list,
      schema: { type: 'array', items: { type: 'string' } },
    }),
  }),
  alert_channels: structured('{}', {
    unit: 'JSON',
    about: 'further ways to tell somebody, by name: see Alerts',
    parse: parseObject,
    show: (channels) => Object.keys(channels),
  }),
  alert_rules: structured('[]', {
    unit: 'JSON',
    about: 'rules beside alert_level: see Alerts',
    parse: (value) => value,
    show: (rules) => rules,
  }),
  alert_quiet_hours: structured('[]', {
    unit: 'JSON',
    about: 'when messages wait: see Alerts',
    parse: (value) => value,
    show: (windows) => windows,
  }),
  alert_maintenance: structured('[]', {
    unit: 'JSON',
    about: 'when events raise no alerts: see Alerts',
    parse: (value) => value,
    show: (windows) => windows,
  }),
  alert_private_hosts: structured('[]', {
    unit: 'JSON',
    about: 'list of hosts, as the URLs of webhooks name them, that may lie in the inner network',
    parse: parseTexts,
    show: (hosts) => hosts,
  }),
  public_url: setting({
    fallback: '',
    unit: 'URL',
    about: 'where people reach this receiver, for links in messages; server_url if not set',
    parse: parsePublicUrl,
    show: (url) => url && showUrl(url),
  }),
}
