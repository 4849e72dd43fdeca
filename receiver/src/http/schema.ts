import { eventLevels, eventTypes, sourceKeys } from '@madsci-events/sdk/event'
import { z } from 'zod'
import { health } from './health-schema.ts'
import { paging, queryPaging } from './page-schema.ts'

/**
 * What the routes take and answer, for the OpenAPI document. The event is read by parseEvent, which knows the original's
 * leniencies and error texts; test/receiver/http/schema.property.test.ts holds that both agree.
 */

/** Not z.json(): its recursive definitions end in references that no OpenAPI reader resolves. */
const anyJson = z.unknown().describe('any JSON')
const days = z.int().min(0).max(1_000_000)
const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
const time = z.union([z.string(), z.number()])
const source = z.object(Object.fromEntries(sourceKeys.map((key) => [key, ulid.nullish()])))

const levelName = z.enum(['notset', 'debug', 'info', 'warning', 'error', 'critical'])
const level = z.union([z.literal([...eventLevels]), levelName])

export const eventInput = z
  .object({
    event_id: z.string().min(1).nullish().describe('the key; a new ULID if it is missing'),
    event_type: z.enum(eventTypes).optional().describe('`unknown` if it is missing'),
    log_level: level.optional().describe('20 if it is missing'),
    alert: z.boolean().optional(),
    event_timestamp: time
      .optional()
      .describe('ISO 8601, or Unix seconds, or milliseconds; now if it is missing'),
    source: source.optional(),
    event_data: anyJson.optional(),
    trace_id: z.string().nullish(),
    span_id: z.string().nullish(),
    archived: z.boolean().optional(),
    archived_at: time.nullish(),
  })
  .meta({ id: 'NewEvent' })

const field = (about: string) => anyJson.optional().describe(about)
// An event that came by REST may have an `otel` of any shape.
const otel = z
  .looseObject({
    form: field("'record': event_data is the body, as `message`, and the attributes beside it"),
    severity_number: field('when it is not the one of log_level'),
    severity_text: field('with form: when there is one; else when it is not the word of log_level'),
    event_name: field("with form: when there is one; else when it is not 'madsci.' and event_type"),
    no_body: field('true where `message` in event_data is an attribute, and there is no body'),
    body: field('when event_data does not say it'),
    attributes: field(
      "beside madsci.event.data: those that are not MADSci's; an attribute `message` beside a body",
    ),
    time_unix_nano: field('as text: when event_timestamp has too few digits; 0 when it was not given'),
    observed_time_unix_nano: field('as text: when it is another than the time'),
    flags: field('the low byte, when it is not 0'),
    dropped_attributes_count: field('when it is not 0'),
    source: field('madsci.source.* that are no ULIDs'),
    resource: field('attributes of the resource, by name'),
    resource_dropped_attributes_count: field('when it is not 0'),
    resource_schema_url: field('when there is one'),
    scope: field('name, version, attributes, dropped_attributes_count, schema_url'),
    doubles: field(
      'JSON Pointers of whole numbers that came as doubles, in body, attributes, resource and scope of the record',
    ),
  })
  .meta({ id: 'Otel' })
  .describe('what the OTel log record said beyond the other fields')

export const eventOutput = z
  .object({
    _id: z.string(),
    event_type: z.enum(eventTypes),
    log_level: z.literal([...eventLevels]),
    alert: z.boolean(),
    event_timestamp: z.string().describe('YYYY-MM-DDTHH:MM:SS.ffffff, with Z for UTC'),
    source,
    event_data: anyJson,
    trace_id: z.string().nullable(),
    span_id: z.string().nullable(),
    archived: z.boolean(),
    archived_at: z.string().nullable(),
    otel: otel.optional(),
  })
  .meta({ id: 'Event' })

const events = z.record(z.string(), eventOutput).describe('events by id, in the order of the answer')
const detail = z.object({ detail: anyJson }).meta({ id: 'Error' })
const detailList = z
  .object({
    detail: z.array(
      z.object({
        type: z.string(),
        loc: z.array(z.union([z.string(), z.number()])),
        msg: z.string(),
        input: anyJson,
      }),
    ),
  })
  .meta({ id: 'ValidationError' })

const trouble = {
  429: detail.describe('Too many bytes in flight: try again after Retry-After seconds'),
  503: detail.describe(
    'The store cannot be reached, or the receiver is shutting down: try again after Retry-After seconds',
  ),
}

const choices = {
  q: z
    .string()
    .optional()
    .describe(
      'a search line, terms that must all hold: words, "a phrase", node:arm (by name or id; also workcell, workflow, experiment, campaign, step, action, user, manager, lab), type:node_error, level>=error, service:pump, event:name, text:word, trace:id, span:id, id:id, alert:true, since:2h, until:12:30, event_data.count>=3, {a MongoDB selector}; a,b is one of both, a minus leaves out; 422 names the column',
    ),
  service: z
    .string()
    .optional()
    .describe('sent by this service: service.name of the resource, or component_name'),
  event_name: z.string().optional().describe('the event name of the OTLP record'),
  search: z.string().optional().describe('this text in the message, in any case'),
}

export const schemas = {
  postLogs: {
    operationId: 'export_logs',
    summary:
      'OTLP/HTTP logs: ExportLogsServiceRequest, as application/x-protobuf or application/json; answered after the commit',
    response: {
      200: z
        .object({
          partialSuccess: z.object({ rejectedLogRecords: z.string(), errorMessage: z.string() }).optional(),
        })
        .describe('ExportLogsServiceResponse, in the encoding of the request'),
    },
  },
  postTraces: {
    operationId: 'export_traces',
    summary: 'OTLP/HTTP traces, passed on to otlp_forward_url; taken and dropped without it',
    response: { 200: z.unknown().describe('as the other side answers') },
  },
  postMetrics: {
    operationId: 'export_metrics',
    summary: 'OTLP/HTTP metrics, passed on to otlp_forward_url; taken and dropped without it',
    response: { 200: z.unknown().describe('as the other side answers') },
  },
  postEvent: {
    operationId: 'log_event',
    summary:
      'Store an event; answered after the commit. A known id is answered like a new one and changes nothing.',
    body: eventInput,
    response: { 200: eventOutput, 400: detail, 413: detail, 422: detailList, ...trouble },
  },
  getEvent: {
    operationId: 'get_event',
    summary: 'One event by its id',
    params: z.object({ event_id: z.string().describe('the id of the event') }),
    response: { 200: eventOutput, 404: detail, 503: trouble[503] },
  },
  getEventLogs: {
    operationId: 'get_event_logs',
    summary: 'To the page that shows the event among its neighbours (setting explorer_url)',
    params: z.object({ event_id: z.string().describe('the id of the event') }),
    response: { 302: z.null().describe('Location is the page'), 404: detail },
  },
  getEvents: {
    operationId: 'get_events',
    summary: 'Events, newest first',
    querystring: z.object({
      number: z.int().min(0).default(100).describe('at most so many; 0 = no limit'),
      offset: z.int().min(0).default(0).describe('so many are passed over'),
      level: z.union([z.int(), levelName]).default(0).describe('least log_level'),
      start_time: time.optional().describe('not before; a time without zone counts as UTC'),
      end_time: time.optional().describe('not after'),
      include_archived: z.boolean().default(false).describe('archived events too'),
      selector: z.string().optional().describe('a MongoDB selector, as JSON'),
      ...choices,
      ...paging,
    }),
    response: { 200: events, 400: detail, 422: detailList, 503: trouble[503] },
  },
  queryEvents: {
    operationId: 'query_events',
    summary:
      'Events that match a MongoDB selector, archived ones included; in no promised order without order or cursor',
    querystring: z.object({
      selector: z.string().optional().describe('instead of a body: JSON, or a dict as Python writes it'),
      order: z.enum(['newest', 'oldest']).optional().describe('by event_timestamp'),
      number: z.int().min(0).optional().describe('at most so many; with cursor from 1 to 10,000 (100)'),
      ...queryPaging,
    }),
    body: z.record(z.string(), anyJson),
    response: { 200: events, 400: detail, 422: detail, ...trouble },
  },
  archiveEvents: {
    operationId: 'archive_events',
    summary: 'Archive events: the given ones, or those strictly before a time. With both, the ids count.',
    body: z.object({
      event_ids: z.array(z.string()).nullish(),
      before_date: time.nullish().describe('a time without zone counts as UTC'),
      batch_size: z.int().min(1).max(100_000).nullish().describe('events of one commit at most'),
    }),
    response: {
      200: z.object({ archived_count: z.int(), message: z.string() }),
      400: detail,
      422: detailList,
      ...trouble,
    },
  },
  getArchived: {
    operationId: 'get_archived_events',
    summary: 'Archived events, last archived first',
    querystring: z.object({
      number: z.int().min(0).default(100).describe('at most so many; 0 = no limit'),
      offset: z.int().min(0).default(0).describe('so many are passed over'),
    }),
    response: { 200: events, 400: detail, 422: detailList, 503: trouble[503] },
  },
  purgeArchived: {
    operationId: 'purge_archived_events',
    summary: 'Delete for good what was archived longer ago than that',
    querystring: z.object({ older_than_days: days.default(365).describe('since it was archived') }),
    response: {
      200: z.object({ deleted_count: z.int(), purged_count: z.int(), message: z.string() }),
      422: detailList,
      503: trouble[503],
    },
  },
  receipts: {
    operationId: 'get_receipts',
    summary:
      'Which events are stored, and where they lie in the order of commit (null: too far back to tell)',
    body: z.object({ event_ids: z.array(z.string()).max(10_000) }),
    response: {
      200: z.object({
        stored: z.record(z.string(), z.object({ commit: z.string().nullable() })),
        missing: z.array(z.string()),
      }),
      400: detail,
      422: detailList,
      ...trouble,
    },
  },
  streamEvents: {
    operationId: 'stream_events',
    summary:
      'New events as server-sent events, from their commit on; goes on behind Last-Event-ID, where the last page of events may come again',
    querystring: z.object({
      level: z.union([z.int(), levelName]).default(0).describe('least log_level'),
      start_time: time.optional().describe('not before; a time without zone counts as UTC'),
      end_time: time.optional().describe('not after'),
      include_archived: z.boolean().default(false).describe('archived events too'),
      selector: z.string().optional().describe('a MongoDB selector, as JSON'),
      ...choices,
      last_event_id: z.string().optional().describe('the header Last-Event-ID, for whom cannot set it'),
    }),
    produces: ['text/event-stream'],
    response: { 200: z.string().describe('text/event-stream'), 400: detail, 422: detailList, ...trouble },
  },
  createBackup: {
    operationId: 'create_backup',
    summary: 'Copy all events into a new folder below backup_dir; answered when the copy is whole',
    body: z.object({ description: z.string().nullish() }).nullish(),
    response: {
      200: z.object({ backup_path: z.string(), status: z.literal('completed') }),
      400: detail,
      422: detailList,
      500: detail,
      ...trouble,
    },
  },
  getBackupStatus: {
    summary: 'The backups that there are, newest first, each checked against its checksum',
    response: {
      200: z.object({
        backup_enabled: z.boolean(),
        backup_dir: z.string(),
        available_backups: z.array(
          z.object({
            path: z.string(),
            created_at: z.string(),
            size_bytes: z.int(),
            is_valid: z.boolean(),
          }),
        ),
      }),
    },
  },
  getSettings: {
    operationId: 'get_settings',
    summary: 'The settings that count, secrets redacted',
    querystring: z.object({
      include_defaults: z.boolean().default(true).describe('those too that nobody set'),
      include_schema: z.boolean().default(false).describe('their JSON Schema too'),
    }),
    response: {
      200: z.object({
        settings: z.record(z.string(), anyJson),
        schema: z.record(z.string(), anyJson).optional(),
        schema_title: z.string().optional(),
      }),
      422: detailList,
    },
  },
  getDefinition: {
    summary: 'Who this event manager is, as MADSci 0.5 told it',
    response: {
      200: z.object({
        name: z.string(),
        description: z.string().nullable(),
        manager_id: z.string(),
        manager_type: z.string(),
      }),
    },
  },
  getHealth: {
    operationId: 'health',
    summary: 'Whether the receiver can store; always 200',
    response: {
      200: health,
    },
  },
  getLive: {
    operationId: 'get_live',
    summary: 'Whether the process runs',
    response: { 200: z.object({ live: z.literal(true) }) },
  },
  getReady: {
    operationId: 'get_ready',
    summary: 'Whether the receiver takes events now',
    response: { 200: z.object({ ready: z.literal(true) }), ...trouble },
  },
  getMetrics: {
    operationId: 'get_metrics',
    summary: 'What the receiver counts, for Prometheus',
    produces: ['text/plain'],
    response: { 200: z.string().describe('Prometheus text, or OpenMetrics for whom accepts it') },
  },
}
