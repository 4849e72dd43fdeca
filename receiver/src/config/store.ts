import { count, setting, word } from './setting.ts'
import { hideCredentials, parseDatabaseUrl, parseName } from './value.ts'

/** Where events rest. */
export const storeSettings = {
  document_db_url: setting({
    // Those of MADSci 0.8, and behind them that of 0.7, whose events must not be left behind.
    variables: [
      'DOCUMENT_DB_URL',
      'MONGO_DB_URL',
      'EVENT_DB_URL',
      'DB_URL',
      'EVENT_DOCUMENT_DB_URL',
      'EVENT_MONGO_DB_URL',
    ],
    aliases: ['mongo_db_url', 'db_url', 'event_mongo_db_url', 'event_db_url'],
    fallback: 'sqlite:.madsci/events.db',
    unit: 'URL',
    about:
      '`sqlite:PATH` (from the working directory), `mongodb://…`, `mongodb+srv://…`, or `null:` which keeps nothing and is for measuring',
    secret: true,
    parse: parseDatabaseUrl,
    hint: hideCredentials,
    schema: { type: 'string', format: 'uri' },
  }),
  database_name: setting({
    fallback: 'madsci_events',
    unit: 'name',
    about: 'MongoDB database',
    parse: parseName,
    schema: { type: 'string' },
  }),
  collection_name: setting({
    fallback: 'events',
    unit: 'name',
    about: 'MongoDB collection',
    parse: parseName,
  }),
  summary_memory_mb: count(256, 0, {
    most: 65_536,
    unit: 'MiB',
    about:
      'memory for columns of the stored events, some 20 bytes an event: `GET /events/summary` reads what they do not hold from the store; 0 = none',
  }),
  sqlite_synchronous: word(
    'full',
    ['full', 'normal', 'off'],
    'below `full`, a power cut may take acknowledged events; a killed process does not',
  ),
}
