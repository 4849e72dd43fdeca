import type { Answer } from './rest.ts'

/** Where the receiver answers otherwise than MADSci's own event manager, step by step, and why. Everything else is the same. */
export interface Difference {
  why: string
  /** What ours answers; a body as text must be equal, as a pattern must match, as a function is asked. */
  status?: number
  contentType?: string
  body?: string | RegExp | ((ours: string, original: string) => boolean)
}

const selector = 'a selector that is not accepted is a 422 that says why; the original answers 500 or runs it'
const sixDigits = 'times have six digits, those with a zone are converted to UTC'
const parser = 'the text of a JSON error is that of another parser'
const flaw = 'the original fails or does harm; here it is a 422'

const refused = (status = 422): Difference => ({
  why: selector,
  status,
  contentType: 'application/json',
  body: /^\{"detail":"/,
})

export const differences: { [step: string]: Difference } = {
  'an event of defaults alone': {
    why: 'a time that the receiver gives is UTC and says so',
    body: /"event_timestamp":"<now, UTC>"/,
  },
  'a page of another origin': {
    why: 'pages of other sites are refused; the original lets each of them read and write',
    status: 403,
    body: /^\{"detail":"/,
  },
  'the same id again with other content': {
    why: 'the answer is what is stored; the original echoes what it did not store',
    body: /"event_type":"node_create".*"trace_id":"trace"/,
  },
  'event_type "experiment_stop"': {
    why: 'what 0.5 and 0.6 call experiment_cancelled is still taken',
    status: 200,
    body: /"event_type":"experiment_stop"/,
  },
  'event_data {"x":1.0,"y":1e300,"z":0.1,"t":true}': { why: '1.0 and 1 are the same number', body: /"x":1,/ },
  'event_data 1 comes back as stored': { why: '1.0 and 1 are the same number', body: /"x":1,/ },
  'naive without a fraction': { why: sixDigits, body: /"2025-01-01T00:00:00\.000000"/ },
  'UTC without a fraction': { why: sixDigits, body: /"2025-01-01T00:00:00\.000000Z"/ },
  'an offset': { why: sixDigits, body: /"2025-01-01T05:30:00\.500000Z"/ },
  'a date': { why: sixDigits, body: /"2025-01-01T00:00:00\.000000"/ },
  'the body {': { why: parser, body: /"type":"json_invalid","loc":\["body",1\]/ },
  'the body {"a":}': { why: parser, body: /"type":"json_invalid","loc":\["body",\d\]/ },
  'the body {"event_type":"test",}': { why: parser, body: /"type":"json_invalid"/ },
  'GET /events?number=-2': { why: flaw, status: 422, body: /greater than or equal to 0/ },
  'GET /events?offset=-1': {
    why: flaw,
    status: 422,
    contentType: 'application/json',
    body: /greater than or equal to 0/,
  },
  'GET /events?number=99999999999999999999': {
    why: flaw,
    status: 422,
    contentType: 'application/json',
    body: /int_parsing_size/,
  },
  'query {"event_timestamp":{"$gte":"2001-05-07T08:11:00Z","$lt":"2001-05-08T00:00:00Z"}}': {
    why: 'bounds are instants; as text, the original takes 08:11:00.25 for earlier than 08:11:00',
    body: /^\{"seed-11":/,
  },
  'query {"_id":{"$date":"2001-05-07"}}': refused(),
  'query {"$or":[]}': refused(),
  'query {"_id":{"$nope":1}}': refused(),
  'query {"event_data.n":{"$regex":"("}}': refused(),
  'query {"$where":"true"}': refused(),
  'the selector "x"': refused(),
  'the selector 5': refused(),
  'the selector true': refused(),
  'the selector [1]': refused(),
  'the selector {': { why: parser, body: /"type":"json_invalid","loc":\["body",1\]/ },
  'archive before a time': {
    why: 'one event more: the one of type experiment_stop was taken',
    body: '{"archived_count":29,"message":"Successfully archived 29 events"}',
  },
  'a negative batch_size': { why: flaw, status: 422, body: /greater than or equal to 1/ },
  'purge ?older_than_days=-1': { why: flaw, status: 422, body: /greater than or equal to 0/ },
  'purge what is older than a year': {
    why: 'what the command line of MADSci prints',
    body: '{"deleted_count":0,"purged_count":0,"message":"Permanently deleted 0 archived events older than 365 days"}',
  },
  'purge all': {
    why: 'in the original the step before has deleted them',
    body: '{"deleted_count":31,"purged_count":31,"message":"Permanently deleted 31 archived events older than 0 days"}',
  },
  'GET /settings': {
    why: 'settings of our own follow those of the original',
    body: (ours, original) => ours.startsWith(`${original.slice(0, -2)},`),
  },
  'GET /': {
    why: 'the definition, as in 0.5',
    status: 200,
    body: /^\{"name":"EventManager","description":null/,
  },
  'GET /definition': {
    why: 'the definition, as in 0.5',
    status: 200,
    body: /"manager_id":"<ulid>","manager_type":"event_manager"\}$/,
  },
  'GET /backup': { why: 'the client asks here for what the original has at /backup/status', status: 200 },
  'POST /backup': { why: 'needs no mongodump', status: 200, body: '{"status":"completed"}' },
}

/** What is not as it should be: equal to the original's answer, or as the table says (and then not equal). */
export function findDifferences(original: readonly Answer[], ours: readonly Answer[]): string[] {
  const found: string[] = []
  for (const [i, theirs] of original.entries()) {
    const answer = ours[i]
    if (!answer || answer.name !== theirs.name) return [...found, `${theirs.name}: there is no answer`]
    const { why, ...wanted } = differences[theirs.name] ?? { why: undefined }
    const isEqual = JSON.stringify(answer) === JSON.stringify(theirs)
    if (why === undefined && isEqual) continue
    if (why !== undefined && isEqual) found.push(`${theirs.name}: answers like the original: leave the table`)
    const { status = theirs.status, contentType = theirs.contentType, body } = wanted as Partial<Difference>
    const isWanted =
      why !== undefined &&
      answer.status === status &&
      answer.contentType === contentType &&
      fits(body, answer.body, theirs.body)
    if (!isWanted) found.push(`${theirs.name}:\n  original ${show(theirs)}\n  ours     ${show(answer)}`)
  }
  const names = new Set(original.map(({ name }) => name))
  for (const name of Object.keys(differences)) if (!names.has(name)) found.push(`${name}: is no step`)
  return found
}

function fits(wanted: Difference['body'], ours: string, original: string): boolean {
  if (wanted === undefined || typeof wanted === 'string') return (wanted ?? ours) === ours
  return typeof wanted === 'function' ? wanted(ours, original) : wanted.test(ours)
}

const show = ({ status, contentType, body }: Answer) => `${status} ${contentType} ${body.slice(0, 600)}`
