import { alertActions } from './alert.ts'
import type { CommandCall } from './call.ts'
import type { Terminal } from './terminal.ts'
import { exactReports, originalReports } from './utilization.ts'

export interface Command {
  about: string
  /** Named arguments, for the help; `…?` may be left out. */
  arguments?: readonly string[]
  /** Beside the settings: text, or 'flag' for one without a value. */
  options?: { [name: string]: CommandOption }
  /** Whole command lines, without the program's name. */
  examples: readonly string[]
  /** What other exit codes than 0 mean here, beside those of every command. */
  codes?: { [code: number]: string }
  /** Gives the exit code. */
  run: (call: CommandCall, terminal: Terminal) => Promise<number>
}

export interface CommandOption {
  about: string
  kind?: 'flag'
}

const json = { json: { about: 'answers as JSON, one line; errors too', kind: 'flag' } } as const
const filters = {
  number: {
    about: 'at most so many events, of which two that tell the same are one line; 0 = no limit (100)',
  },
  level: { about: 'this level and above, as a name or a number' },
  start_time: { about: 'not before: 10m (ago), 2h, 3d, today, yesterday, 09:30, or a timestamp' },
  end_time: { about: 'not after, in the same words' },
  include_archived: { about: 'archived ones too', kind: 'flag' },
} as const
const q = { about: 'a search line: words node:arm -type:log_info level>=error since:2h' } as const
const conditions = {
  q,
  node: { about: 'of the node of this name or id' },
  type: { about: 'of these event types, by commas' },
  workflow: { about: 'of the workflow of this name or id' },
  service: { about: 'sent by this service (service.name)' },
  event_name: { about: 'of OTLP records with this event name' },
  text: { about: 'with these words in the message, in any case' },
} as const

/** Every command, in the order of the help. What one needs is loaded when it runs: for many that is the whole receiver. */
export const commands: { [name: string]: Command } = {
  serve: {
    about: 'start the receiver',
    examples: [
      'serve',
      'serve --server_url=http://0.0.0.0:8001 --document_db_url=mongodb://localhost:27017',
      'serve --retention_enabled=yes --backup_enabled=yes --backup_schedule="30 2 * * *"',
    ],
    codes: { 1: 'it could not start, or requests were cut off when it ended' },
    run: async ({ flags }, terminal) => (await import('./serve.ts')).serve(flags, terminal),
  },
  demo: {
    about: 'start the receiver with a simulated laboratory, on a store of its own',
    examples: ['demo', 'demo --server_url=http://localhost:9001'],
    run: async ({ flags }, terminal) => (await import('./demo.ts')).demo(flags, terminal),
  },
  config: {
    about: 'the settings that count, each with where it came from, secrets hidden',
    options: { given: { about: 'only those that somebody set', kind: 'flag' }, ...json },
    examples: ['config', 'config --given', 'config --json'],
    codes: { 1: 'a setting is wrong; all problems are listed' },
    run: async (call, terminal) => (await import('./config.ts')).showEffective(call, terminal),
  },
  doctor: {
    about: 'checks settings, database, ports, clocks, disk, backups and alerts, and says what to do',
    options: {
      test: { about: 'sends a test message by each channel of alerts', kind: 'flag' },
      ...json,
    },
    examples: ['doctor', 'doctor --test', 'doctor --document_db_url=mongodb://localhost:27017 --json'],
    codes: { 1: 'there is a problem; warnings alone are 0' },
    run: async (call, terminal) => (await import('./doctor.ts')).doctor(call, terminal),
  },
  query: {
    about: 'events of a running receiver (server_url), newest first, of those that match a selector',
    arguments: ['SELECTOR?'],
    options: { ...filters, since: { about: 'the same as --start_time' }, ...conditions, ...json },
    examples: [
      'query --level=error --number=20',
      'query --node=robot-arm --since=2h --text=tip',
      `query '--q="no tip" node:robot-arm -type:log_info level>=warning since:2h'`,
      'query --start_time=2026-11-23T18:00:00Z --json',
      `query '{"event_type": "workflow_start"}'`,
    ],
    run: async (call, terminal) => (await import('./query.ts')).query(call, terminal),
  },
  tail: {
    about: 'new events of a running receiver (server_url) as they are stored',
    arguments: ['SELECTOR?'],
    options: {
      level: filters.level,
      since: { about: 'those from then on that are stored already come first: 10m, today, 09:30' },
      ...conditions,
      ...json,
    },
    examples: [
      'tail --level=warning',
      'tail --node=robot-arm',
      `tail '{"source.node_id": "01JJ4S0WNGEF5FQAZG5KDGJRBV"}'`,
    ],
    run: async (call, terminal) => (await import('./query.ts')).tail(call, terminal),
  },
  export: {
    about: 'all events of the database, or of a backup, to a file or standard output, without a cap',
    arguments: ['FILE?'],
    options: {
      format: { about: 'ndjson, csv or otlp (ndjson)' },
      from: { about: 'sqlite:PATH, mongodb://… or the folder of a backup (document_db_url)' },
      q,
      level: filters.level,
      start_time: { about: 'not before' },
      end_time: { about: 'not after' },
      ...json,
    },
    examples: [
      'export night.ndjson --start_time=2026-11-23T18:00:00Z',
      `export arm.csv --format=csv '--q=node:robot-arm level>=error'`,
      'export --format=csv --from=mongodb://localhost:27017 > events.csv',
    ],
    run: async (call, terminal) => (await import('./transfer.ts')).exportEvents(call, terminal),
  },
  import: {
    about: 'events from elsewhere into the database, mended; it may be stopped and run again',
    arguments: ['FROM'],
    options: {
      promote: { about: 'typed events that were stored as log_* get their type', kind: 'flag' },
      zone: { about: 'IANA zone of times without a zone' },
      text: { about: 'text lines of a log file of the Python client too; they have no id', kind: 'flag' },
      start_time: { about: 'not before: 2h (ago), 09:30, or a timestamp' },
      end_time: { about: 'not after, in the same words' },
      report: { about: 'file for a line about each repair and refusal' },
      ...json,
    },
    examples: [
      'import mongodb://localhost:27017 --promote --zone=Europe/Berlin',
      'import ~/.madsci/logs/my_node.log --text --start_time=09:30 --end_time=10:15',
    ],
    codes: { 1: 'it failed, was stopped before the end, or events were refused' },
    run: async (call, terminal) => (await import('./transfer.ts')).importFrom(call, terminal),
  },
  alerts: {
    about: `alerts of a running receiver (server_url); ${alertActions.join(', ')}: an id, a channel, or a rule (its name or JSON)`,
    arguments: ['ACTION?', 'SUBJECT?'],
    options: {
      number: filters.number,
      state: { about: 'list: firing, acknowledged, silenced or resolved' },
      rule: { about: 'list: of one rule' },
      by: { about: 'acknowledge, silence, resolve: who' },
      minutes: { about: 'silence: for so long (60)' },
      start_time: { about: 'preview: from then on (7 days)' },
      end_time: { about: 'preview: up to then (now)' },
      ...json,
    },
    examples: [
      'alerts --state=firing',
      'alerts acknowledge 01KBGTKQ3J5Z8W4T9X2M6V7P1D --by=night-shift',
      'alerts test email',
      `alerts preview '{"selector": {"event_type": "node_error"}, "group_by": ["source.node_id"]}'`,
    ],
    codes: { 1: 'it failed, or a test was not delivered' },
    run: async (call, terminal) => (await import('./alert.ts')).alerts(call, terminal),
  },
  utilization: {
    about: `reports of a running receiver (server_url) as bars: ${[...exactReports, ...originalReports].join(', ')} (summary)`,
    arguments: ['REPORT?'],
    options: {
      start_time: {
        about:
          'from then on, in the words of query; with only one of the two, one day; with neither, everything',
      },
      end_time: { about: 'up to then' },
      since: { about: 'the same as --start_time' },
      zone: {
        about: "IANA zone of the bounds, of buckets and of the answer (UTC; periods: this machine's)",
      },
      format: { about: 'json, csv or ndjson, as it comes' },
      by: { about: 'summary: node, workcell, lab, user, experiment or workflow_type (node)' },
      bucket: { about: 'summary: for each hour, day, week or month too' },
      kind: { about: 'timeline: of these kinds, by commas (workcell,node)' },
      analysis_type: { about: 'periods: hourly, daily, weekly or monthly (daily)' },
      include_users: { about: 'periods: true or false (true)' },
      output_path: {
        about: 'sessions, periods, user: saved as CSV in this folder of the report_dir of the receiver',
      },
      node: { about: 'of this node alone, by name or id' },
      workcell: { about: 'of this workcell alone, by name or id' },
      experiment: { about: 'of this experiment alone, by name or id' },
      node_id: { about: 'of this node alone' },
      workcell_id: { about: 'of this workcell alone' },
      user: { about: 'of this user alone' },
      experiment_id: { about: 'of this experiment alone' },
      limit: { about: 'timeline, waits: at most so many' },
      least_ms: { about: 'waits: of at least so many milliseconds (1000)' },
      ...json,
    },
    examples: [
      'utilization summary --bucket=day --zone=America/Chicago',
      'utilization timeline --start_time=2026-11-23 --kind=node,workflow',
      'utilization waits --limit=20',
      'utilization compare --start_time=2026-11-23',
      'utilization timeline --format=csv > intervals.csv',
    ],
    run: async (call, terminal) => (await import('./utilization.ts')).utilization(call, terminal),
  },
  report: {
    about:
      'one experiment or workflow of a running receiver (server_url) as one HTML file to hand on or print; KIND: run, workflow or experiment',
    arguments: ['KIND', 'NAME-OR-ID'],
    options: { output: { about: 'the file; - for standard output (run-ID.html)' }, ...json },
    examples: ['report run "assay 7"', 'report experiment 01KBGTKQ3J5Z8W4T9X2M6V7P1D --output=night.html'],
    run: async (call, terminal) => (await import('./report.ts')).report(call, terminal),
  },
  backup: {
    about: 'have a running receiver (server_url) make a backup',
    options: { description: { about: 'becomes part of its name' }, ...json },
    examples: ['backup', 'backup --description=before-update --json'],
    run: async (call, terminal) => (await import('./remote.ts')).backup(call, terminal),
  },
  restore: {
    about: 'a backup into the database; verifies checksum, number and every id',
    arguments: ['FOLDER'],
    options: json,
    examples: ['restore .madsci/backups/events/madsci_events_backup_20261123_193805_732000_manual_backup'],
    codes: { 1: 'it failed, or something of the backup is missing' },
    run: async (call, terminal) => (await import('./transfer.ts')).restore(call, terminal),
  },
  salvage: {
    about: 'what is readable of a damaged SQLite file, copied into a new one; says what is not',
    arguments: ['FROM', 'TO'],
    options: {
      report: { about: 'file for a line about each event that is missing or was refused' },
      ...json,
    },
    examples: ['salvage .madsci/events.db saved.db --report=missing.ndjson'],
    codes: { 1: 'it failed, or something of the file cannot be read' },
    run: async (call, terminal) => (await import('./salvage.ts')).salvage(call, terminal),
  },
  spool: {
    about:
      'what waits in a spool folder of the SDK, as OTLP/JSON, one line for many events; looks, and touches nothing',
    arguments: ['DIR?'],
    options: { count: { about: 'how many events wait, of whom, and no more', kind: 'flag' }, ...json },
    examples: ['spool --count', 'spool ~/.local/state/madsci-events/spool > waiting.jsonl'],
    run: async (call, terminal) => (await import('./spool.ts')).spool(call, terminal),
  },
}
