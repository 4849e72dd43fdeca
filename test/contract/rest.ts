/**
 * The black box: requests to an event manager at any address, and what it answered, as text that two servers can be compared by.
 * Every step acts on what the steps before it left behind, so they run in order, on an empty database.
 */

export interface Step {
  name: string
  method?: string
  path: string
  headers?: { [name: string]: string }
  /** An object is sent as JSON; text and bytes as they are, with `headers` alone. */
  body?: unknown
  /** Only the status and these members of the answer count: the rest tells of the machine. */
  only?: readonly string[]
}

export interface Answer {
  name: string
  status: number
  contentType: string
  /** The body as it came, generated ids and the present time made plain. */
  body: string
}

const json = { 'content-type': 'application/json' }
const node = '01ACCEN0DE0000000000000001'
const workcell = '01ACCEWKC00000000000000001'

/** Events of known times, a minute apart, whose levels go round. */
const seeded = Array.from({ length: 12 }, (_, i) => ({
  event_id: `seed-${String(i).padStart(2, '0')}`,
  event_type: ['node_start', 'log_info', 'workflow_start', 'log_error'][i % 4],
  log_level: [10, 20, 30, 40][i % 4],
  event_timestamp: `2001-05-07T08:${String(i).padStart(2, '0')}:00.250000Z`,
  source: i % 2 === 0 ? { node_id: node } : { workcell_id: workcell },
  event_data: { n: i, even: i % 2 === 0, half: i / 2, tags: ['a', `t${i}`], deep: { list: [{ k: i }] } },
}))

const post = (name: string, body: unknown): Step => ({ name, method: 'POST', path: 'event', body })
const raw = (name: string, body: string | Uint8Array, headers: Step['headers'] = json): Step => ({
  name,
  method: 'POST',
  path: 'event',
  headers,
  body,
})
const stamped = (name: string, event_timestamp: unknown): Step =>
  post(name, { event_id: `time ${name}`, event_type: 'test', event_timestamp, source: {} })
const get = (name: string, path: string): Step => ({ name, path })
const query = (name: string, selector: unknown): Step => ({
  name,
  method: 'POST',
  path: 'events/query',
  body: selector,
})
const archive = (name: string, body: unknown): Step => ({
  name,
  method: 'POST',
  path: 'events/archive',
  body,
})

export const steps: readonly Step[] = [
  // POST /event
  post('an event of defaults alone', {}),
  post('every field', {
    event_id: 'full',
    event_type: 'NODE_CREATE',
    log_level: 'warning',
    alert: true,
    event_timestamp: '2001-05-01T00:00:00.500000Z',
    source: { node_id: node, user_id: null, other: 1 },
    event_data: { a: [1, null, { b: 'é' }] },
    trace_id: 'trace',
    span_id: 'span',
    unknown: true,
  }),
  post('the same id again with other content', {
    event_id: 'full',
    event_type: 'test',
    source: {},
    event_timestamp: '2001-05-01T00:00:00.500000Z',
  }),
  get('and the store keeps the first', 'event/full'),
  post('_id wins over event_id', {
    _id: 'under',
    event_id: 'over',
    source: {},
    event_timestamp: '2001-05-01T00:00:01.500000Z',
  }),
  ...(
    [
      '"20"',
      '20.0',
      '"EventLogLevel.ERROR"',
      '"Critical"',
      '0',
      '15',
      'true',
      'null',
      '"WARN"',
      '"FATAL"',
      '[]',
    ] as const
  ).map((level, i) =>
    raw(
      `log_level ${level}`,
      `{"event_id":"level-${i}","source":{},"event_timestamp":"2001-04-01T00:00:00.500000Z","log_level":${level}}`,
    ),
  ),
  ...(['1', '0', '"yes"', '"off"', '"T"', '2', 'null', '"maybe"', '1.0'] as const).map((flag, i) =>
    raw(
      `alert ${flag}`,
      `{"event_id":"alert-${i}","source":{},"event_timestamp":"2001-04-01T00:00:00.500000Z","alert":${flag}}`,
    ),
  ),
  ...(['"NODE_ERROR"', '"node error"', '""', '5', 'null', '"experiment_stop"'] as const).map((type, i) =>
    raw(
      `event_type ${type}`,
      `{"event_id":"type-${i}","source":{},"event_timestamp":"2001-04-01T00:00:00.500000Z","event_type":${type}}`,
    ),
  ),
  ...(
    [
      '{"n":9007199254740993,"m":-9223372036854775808,"l":9223372036854775807}',
      '{"x":1.0,"y":1e300,"z":0.1,"t":true}',
      '{"$set":{"a.b":1},"":2,"a.b":{"$gt":3},"$oid":"x"}',
      '{"nul":"a\\u0000b","emoji":"😀","quote":"\\"\\\\/"}',
      'null',
      '"text"',
      '[1,[2,[3]]]',
      'false',
      '7',
      '{"a":NaN,"b":Infinity,"c":-Infinity}',
      '{"a":1,"a":2}',
    ] as const
  ).map((data, i) =>
    raw(
      `event_data ${data}`,
      `{"event_id":"data-${i}","source":{},"event_timestamp":"2001-04-01T00:00:00.500000Z","event_data":${data}}`,
    ),
  ),
  ...[0, 1, 2, 3].map((i) => get(`event_data ${i} comes back as stored`, `event/data-${i}`)),
  stamped('naive with a fraction', '2025-01-01T00:00:00.500000'),
  stamped('UTC with six digits', '2025-01-01T00:00:00.123456Z'),
  stamped('a fraction of one digit', '2025-01-01T00:00:00.5Z'),
  stamped('a fraction of nine digits', '2025-01-01T00:00:00.123456789Z'),
  stamped('naive without a fraction', '2025-01-01T00:00:00'),
  stamped('UTC without a fraction', '2025-01-01T00:00:00Z'),
  stamped('an offset', '2025-01-01T00:00:00.500000-05:30'),
  stamped('a date', '2025-01-01'),
  stamped('Unix seconds', 1735689600.5),
  stamped('Unix milliseconds as text', '1735689600500'),
  ...[
    '2025-01-01T24:00:00',
    '2025-02-30',
    '20250101T000000Z',
    '',
    ' 2025-01-01',
    'yesterday',
    true,
    null,
    {},
  ].map((time) => stamped(`not a time: ${JSON.stringify(time)}`, time)),
  post('many errors at once', {
    event_type: 'nope',
    log_level: 15,
    alert: 'perhaps',
    source: { node_id: 'notulid', workcell_id: 5 },
    trace_id: 7,
  }),
  ...(['null', '[]', '"x"', '5', '{', '{"a":}', '', '{"event_type":"test",}'] as const).map((text) =>
    raw(`the body ${text || 'empty'}`, text),
  ),
  raw('invalid UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
  raw('text/plain', '{"event_type":"test"}', { 'content-type': 'text/plain' }),
  raw(
    'application/vnd.lab+json; charset=utf-8',
    '{"event_id":"plus","source":{},"event_timestamp":"2001-04-01T00:00:00.500000Z"}',
    {
      'content-type': 'application/vnd.lab+json; charset=utf-8',
    },
  ),
  { name: 'source is a list', method: 'POST', path: 'event', body: { source: [] } },
  { name: 'GET /event', path: 'event' },
  { name: 'PUT /event', method: 'PUT', path: 'event', body: {} },
  { name: 'a trailing slash is redirected', method: 'POST', path: 'event/', body: {} },
  { name: 'an unknown route', path: 'nope' },
  get('an unknown event', 'event/nope'),
  get('an id in other case', 'event/FULL'),

  // GET /events, of the seeded events alone
  ...seeded.map((event) => post(`seed ${event.event_id}`, event)),
  ...[
    'number=3',
    'number=3&offset=2',
    'number=2&offset=100',
    'number=4&level=error',
    'number=4&level=30',
    'number=4&level=EventLogLevel.WARNING',
    'level=99',
    'start_time=2001-05-07T08:03:00.250000Z&end_time=2001-05-07T08:06:00Z',
    'start_time=2001-05-07T08:03:00&end_time=2001-05-07T08:05:00',
    'start_time=2001-05-07&end_time=2001-05-07T08:01:00&level=10',
    'start_time=2001-05-07T08:10:00Z&end_time=2001-05-08&include_archived=yes',
    'number=3.0',
    'number=3.5',
    'number=',
    'number=x',
    'offset=x',
    'level=nope',
    'include_archived=perhaps',
    'start_time=yesterday',
    'number=-2',
    'offset=-1',
    'number=99999999999999999999',
    'unknown=1&number=1',
  ].map((parameters) =>
    get(
      `GET /events?${parameters}`,
      `events?${/_time|number=\D*$|offset=x|nope|perhaps|number=x/.test(parameters) ? parameters : `start_time=2001-05-07T00:00:00&end_time=2001-05-08T00:00:00&${parameters}`}`,
    ),
  ),

  // POST /events/query: one event is found, or none, so that no order is promised or asked for
  ...(
    [
      { _id: 'seed-03' },
      { 'source.node_id': node, 'event_data.n': { $gt: 9 } },
      { 'event_data.n': { $gte: 11, $lte: 11.0 } },
      { 'event_data.half': 5.5 },
      { 'event_data.tags': 't7' },
      { 'event_data.tags': ['a', 't7'] },
      { 'event_data.tags': { $all: ['a', 't7'] } },
      { 'event_data.tags': { $size: 3 } },
      { 'event_data.tags.1': 't4' },
      { 'event_data.deep.list': { $elemMatch: { k: 4 } } },
      { 'event_data.deep.list.k': 4 },
      { 'event_data.deep.list': [{ k: 4 }] },
      { event_type: { $in: ['x', 'workflow_start'] }, 'event_data.n': 6 },
      { event_type: { $nin: ['node_start', 'log_info', 'workflow_start'] }, 'event_data.n': 7 },
      { $or: [{ _id: 'seed-01' }, { _id: 'nope' }] },
      { $and: [{ log_level: { $gte: 40 } }, { 'event_data.n': 3 }] },
      { $nor: [{ 'event_data.n': { $ne: 5 } }] },
      { 'event_data.n': { $not: { $ne: 5 } } },
      { 'event_data.missing': null, _id: 'seed-02' },
      { 'event_data.missing': { $exists: false }, _id: 'seed-02' },
      { 'event_data.even': { $type: 'bool' }, _id: 'seed-02' },
      { 'event_data.n': { $type: ['int', 16] }, _id: 'seed-02' },
      { 'event_data.n': '5' },
      { 'event_data.n': { $gt: 'a' } },
      { event_timestamp: { $regex: '^2001-05-07t08:09', $options: 'i' } },
      { event_timestamp: { $gte: '2001-05-07T08:11:00Z', $lt: '2001-05-08T00:00:00Z' } },
      { 'event_data.n': { $mod: [11, 10] }, 'event_data.tags': 't10' },
      { archived: true, _id: 'seed-02' },
      { archived_at: { $ne: null }, _id: 'seed-02' },
      { $expr: { $eq: ['$_id', 'seed-02'] } },
      { $comment: 'why', _id: 'seed-02' },
      { event_id: 'seed-02' },
      { selector: { _id: 'seed-02' } },
      { _id: { $date: '2001-05-07' } },
      { $or: [] },
      { _id: { $nope: 1 } },
      { 'event_data.n': { $regex: '(' } },
      { $where: 'true' },
    ] as const
  ).map((selector) => query(`query ${JSON.stringify(selector)}`, selector)),
  ...['', 'null', '"x"', '5', 'true', '[1]', '{'].map((text) => ({
    ...query(`the selector ${text || 'empty'}`, text),
    headers: json,
  })),

  // Archive and purge
  archive('archive by id, with one unknown and one twice', {
    event_ids: ['seed-00', 'seed-01', 'nope', 'seed-00'],
  }),
  archive('archived again: nothing', { event_ids: ['seed-00'] }),
  archive('archive before a time', { before_date: '2001-05-07T08:04:00.250000Z', batch_size: 2 }),
  ...[
    {},
    { event_ids: [] },
    { event_ids: 'seed-02' },
    { event_ids: [5] },
    { before_date: 'x' },
    { event_ids: ['x'], batch_size: 'y' },
  ].map((body) => archive(`archive ${JSON.stringify(body)}`, body)),
  archive('a negative batch_size', { event_ids: ['nope'], batch_size: -1 }),
  get('archived events are found by id', 'event/seed-00'),
  get('and are left out of /events', 'events?start_time=2001-05-07T00:00:00&end_time=2001-05-07T08:05:00'),
  get(
    'but for include_archived',
    'events?start_time=2001-05-07T00:00:00&end_time=2001-05-07T08:01:00&include_archived=true',
  ),
  get('and are queried', 'events?start_time=2001-05-07T08:04:00&end_time=2001-05-07T08:05:00'),
  query('a query finds archived ones', { _id: 'seed-02', archived: true }),
  { name: 'GET /events/archived', path: 'events/archived?number=0', only: ['seed-00', 'seed-01'] },
  get('GET /events/archived?number=x', 'events/archived?number=x'),
  get('GET /events/archived?offset=1000', 'events/archived?offset=1000'),
  { name: 'purge what is older than a year', method: 'DELETE', path: 'events/archived' },
  { name: 'purge ?older_than_days=x', method: 'DELETE', path: 'events/archived?older_than_days=x' },
  { name: 'purge ?older_than_days=-1', method: 'DELETE', path: 'events/archived?older_than_days=-1' },
  { name: 'purge all', method: 'DELETE', path: 'events/archived?older_than_days=0' },
  get('what was purged is gone', 'event/seed-00'),
  get('what was not archived is still there', 'event/seed-11'),

  // The manager
  {
    name: 'GET /health',
    path: 'health',
    only: ['healthy', 'description', 'db_connected', 'otel_enabled', 'otel_exporter_type', 'otel_endpoint'],
  },
  { name: 'HEAD /health', method: 'HEAD', path: 'health' },
  { name: 'GET /settings', path: 'settings', only: ['settings'] },
  { name: 'GET /settings with a schema', path: 'settings?include_schema=true', only: ['schema_title'] },
  get('GET /settings?include_defaults=perhaps', 'settings?include_defaults=perhaps'),
  { name: 'GET /', path: '' },
  { name: 'GET /definition', path: 'definition' },
  { name: 'GET /backup', path: 'backup' },
  { name: 'GET /backup/status', path: 'backup/status', only: ['backup_enabled'] },
  { name: 'POST /backup with a number', method: 'POST', path: 'backup', body: 5 },
  {
    name: 'POST /backup with a description that is no text',
    method: 'POST',
    path: 'backup',
    body: { description: 5 },
  },
  { name: 'POST /backup', method: 'POST', path: 'backup', body: { description: 'night' }, only: ['status'] },
  { name: 'GET /openapi.json', path: 'openapi.json', only: ['openapi'] },
  { name: 'GET /docs', path: 'docs', only: [] },
  {
    name: 'a page of another origin',
    path: 'event/seed-11',
    headers: { origin: 'http://elsewhere.example' },
  },
]

const names = new Set(steps.map(({ name }) => name))
if (names.size !== steps.length) throw new Error('BUG: two steps of one name')

/** Sends all steps to the server at this address (which ends with `/`), one after another. */
export async function runSteps(baseUrl: string): Promise<Answer[]> {
  const answers: Answer[] = []
  for (const step of steps) answers.push(await runStep(baseUrl, step))
  return answers
}

async function runStep(
  baseUrl: string,
  { name, method = 'GET', path, headers, body, only }: Step,
): Promise<Answer> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const answer = await fetch(baseUrl + path, {
    method,
    redirect: 'manual',
    headers: { ...(body !== undefined && !isRaw && json), ...headers, connection: 'close' },
    ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) }),
  })
  const text = await answer.text()
  return {
    name,
    status: answer.status,
    contentType: answer.headers.get('content-type') ?? '',
    body: only ? pick(text, only) : plain(text, baseUrl),
  }
}

function pick(text: string, only: readonly string[]): string {
  let parsed: { [key: string]: unknown } = {}
  try {
    parsed = JSON.parse(text)
  } catch {
    // A page: only that it came.
  }
  const picked = only.map((key) => {
    const value = parsed[key]
    // Of objects that tell of the machine, the names in their order.
    return [key, value !== null && typeof value === 'object' ? Object.keys(value) : value]
  })
  return JSON.stringify(Object.fromEntries(picked))
}

/** Ids and times that the server made, and its address, differ from run to run. */
function plain(text: string, baseUrl: string): string {
  return text
    .replaceAll(baseUrl.slice(0, -1), '<server>')
    .replace(/\b(?!01ACCE)0[0-7][0-9A-HJKMNP-TV-Z]{24}\b/g, '<ulid>')
    .replace(/"20(2[6-9]|[3-9]\d)-\d\d-\d\dT[\d:]+(\.\d+)?"/g, '"<now, naive>"')
    .replace(/"20(2[6-9]|[3-9]\d)-\d\d-\d\dT[\d:]+(\.\d+)?Z"/g, '"<now, UTC>"')
}
