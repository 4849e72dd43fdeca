/** An event as it is posted. */
export interface PostedEvent {
  event_id: string
  event_type: string
  event_timestamp: string
  source: { [name: string]: string }
  event_data: unknown
}

/** A laboratory day, and what is asked of it: path and query below /utilization/. */
export interface LabDay {
  name: string
  events: PostedEvent[]
  requests: string[]
}

/** ULIDs that can be told apart by eye: `id('NDE', 1)` is 01NDE000000000000000000001. */
export const id = (letters: string, number: number) => `01${letters}${String(number).padStart(21, '0')}`

export const workcell = (number: number) => id('WKC', number)
export const node = (number: number) => id('NDE', number)
export const experiment = (number: number) => id('EXP', number)

type Source = { [name: string]: string }

/** Collects the events of a day; times are `HH:MM[:SS[.ffffff]]` of the date, or whole ISO times. */
export function createDay(name: string, date: string, number: number) {
  const events: PostedEvent[] = []
  const stamp = (time: string) =>
    time.includes('T') ? time : `${date}T${time.length === 5 ? `${time}:00` : time}`
  const add = (time: string, type: string, source: Source = {}, data: unknown = {}) => {
    events.push({
      event_id: id('EVT', number * 100_000 + events.length),
      event_type: type,
      event_timestamp: stamp(time),
      source,
      event_data: data,
    })
  }
  return {
    add,
    node: (time: string, type: string, number: number, data: unknown = {}) =>
      add(time, type, { node_id: node(number) }, data),
    action: (time: string, number: number, action: string, status: string) =>
      add(time, 'action_status_change', { node_id: node(number) }, { action_id: action, status }),
    experiment: (time: string, word: string, number: number, data: unknown = {}) =>
      add(time, `experiment_${word}`, { experiment_id: experiment(number) }, data),
    workcell: (time: string, word: string, number: number, data: unknown = {}) =>
      add(time, `workcell_${word}`, { workcell_id: workcell(number) }, data),
    workflow: (time: string, word: string, workflow: string, data: object = {}) =>
      add(time, `workflow_${word}`, {}, { workflow_id: workflow, ...data }),
    /** Another order of arrival. */
    shuffle(random: () => number) {
      for (let i = events.length - 1; i > 0; i--) {
        const other = Math.floor(random() * (i + 1))
        ;[events[i], events[other]] = [events[other]!, events[i]!]
      }
    },
    finish: (requests: string[]): LabDay => ({ name, events, requests }),
  }
}

const day = (from: string, to: string) => `start_time=${from}&end_time=${to}`

/** Overlapping experiments, nodes with and without a start, an action that never ends. */
function ordinaryDay(): LabDay {
  const lab = createDay('ordinary', '2001-05-07', 1)
  lab.workcell('08:00', 'start', 1, { name: 'Main cell' })
  lab.node('08:05', 'node_start', 1, { node_name: ' ot2_alpha ' })
  lab.node('08:10', 'node_status_update', 3, { status: 'ready' })
  lab.experiment('08:30', 'start', 1, {
    experiment: { experiment_design: { experiment_name: 'Alpha' } },
  })
  lab.action('09:00', 1, 'a1', 'running')
  lab.action('09:30', 1, 'a2', 'started')
  lab.action('09:45', 1, 'a1', 'succeeded')
  lab.action('10:00', 1, 'a2', 'completed')
  lab.experiment('10:00:30', 'start', 2, { experiment_name: 'Beta "two", with commas' })
  lab.action('10:15', 2, 'b1', 'in_progress')
  lab.experiment('10:30', 'complete', 1, { status: 'done' })
  lab.action('10:45', 2, 'b1', 'failed')
  lab.experiment('11:00', 'failed', 2)
  lab.action('11:00', 1, 'a3', 'running')
  lab.action('11:30', 1, 'a3', 'finished')
  lab.experiment('12:00', 'start', 3)
  lab.experiment('12:30', 'cancelled', 3)
  lab.action('16:00', 2, 'b2', 'running')
  lab.node('17:05', 'node_stop', 1)
  lab.experiment('17:30', 'start', 4, { name: 'Open end' })
  lab.add('17:40', 'log_error', { node_id: node(9) }, { message: 'not counted' })
  lab.workcell('18:00', 'stop', 1)
  return lab.finish([
    'sessions',
    `sessions?${day('2001-05-07', '2001-05-08')}`,
    `sessions?${day('2001-05-07', '2001-05-08')}&csv_format=true`,
    `sessions?${day('2001-05-07T09:00:00', '2001-05-07T12:00:00')}`,
    'sessions?start_time=2001-05-07T07:00:00',
    'sessions?end_time=2001-05-07T20:00:00%2B02:00',
    `periods?${day('2001-05-07', '2001-05-09')}&analysis_type=daily&user_timezone=UTC`,
    `periods?${day('2001-05-07', '2001-05-09')}&analysis_type=daily&user_timezone=UTC&csv_format=true`,
    `periods?${day('2001-05-07T08:00:00', '2001-05-07T11:30:00')}&analysis_type=hourly`,
    `periods?${day('2001-05-05', '2001-05-09')}&analysis_type=weekly&user_timezone=Asia/Tokyo`,
    `periods?${day('2001-04-20', '2001-05-09')}&analysis_type=monthly&user_timezone=America/Chicago`,
    `periods?${day('2001-05-06', '2001-05-08')}&analysis_type=yearly&user_timezone=Nowhere/Land`,
  ])
}

/** Workflows that overlap, of several users, told in every form that the clients had. */
function workflowDay(): LabDay {
  const lab = createDay('workflows', '2001-06-11', 2)
  lab.add('07:59', 'lab_start', { manager_id: id('MGR', 1) }, { name: 'Night lab' })
  lab.workflow('08:00', 'start', 'w1', { author: ' alice ', name: 'prep' })
  lab.workflow('08:10', 'start', 'w2', { definition_metadata: { author: 'bob' }, workflow_name: 'wash' })
  lab.workflow('08:15', 'start', 'w3', { author: 'alice' })
  lab.workflow('08:20', 'complete', 'w1', { status: 'completed', duration_seconds: 900 })
  lab.workflow('08:40', 'complete', 'w2', { status: { failed: true, description: 'x' } })
  lab.workflow('08:45', 'complete', 'w3', {
    status: { description: 'Was Cancelled by hand' },
    duration_seconds: 123.456,
  })
  lab.workflow('09:00', 'start', 'w4', { author: '', workflow_definition_metadata: { author: 'carol' } })
  lab.workflow('09:10', 'start', 'w5')
  lab.workflow('09:30', 'complete', 'w5', { author: 'dave' })
  lab.workflow('09:40', 'complete', 'w6', {
    author: 'erin',
    start_time: '2001-06-11T09:00:00',
    end_time: '2001-06-11T09:37:30.5',
    status: 'completed',
  })
  lab.workflow('09:50', 'complete', 'w7', { author: 'alice', status: { description: 'odd' } })
  lab.workflow('09:55', 'abort', 'w4')
  lab.add('09:56', 'workflow_start', {}, { name: 'without id' })
  lab.workflow('10:00', 'start', 'w8', { author: 'bob', name: 'again' })
  lab.workflow('10:12:34.567', 'complete', 'w8', { status: 'completed' })
  lab.add('10:20', 'lab_stop', { manager_id: id('MGR', 1) })
  return lab.finish([
    'user',
    'user?csv_format=true',
    `user?${day('2001-06-11T08:12:00', '2001-06-11T09:35:00')}`,
    'user?start_time=1999-01-01',
    'sessions',
  ])
}

/** Stops that are missing or come late, the same workcell started again, sessions of a lab around those of workcells. */
function stopDay(): LabDay {
  const lab = createDay('stops', '2001-07-02', 3)
  lab.add('06:00', 'lab_start', { manager_id: id('MGR', 2) }, { lab_name: 'Lab of stops' })
  lab.workcell('07:00', 'start', 2, { workcell_name: 'Second cell' })
  lab.action('07:10', 4, 'x', 'running')
  lab.workcell('08:00', 'start', 2)
  lab.action('08:20', 4, 'x', 'completed')
  lab.workcell('09:00', 'start', 3)
  lab.workcell('09:30', 'stop', 2)
  lab.add('10:00', 'workcell_start', {}, { workcell_id: workcell(4), display_name: 'By its data' })
  lab.add('10:30', 'workcell_start', {}, { name: 'No id at all' })
  lab.experiment('10:40', 'start', 5)
  lab.experiment('10:40', 'start', 6, { name: 'Same moment' })
  lab.experiment('10:50', 'complete', 6)
  lab.experiment('10:55', 'start', 6)
  lab.experiment('11:00', 'complete', 6, { status: 'again' })
  lab.experiment('11:10', 'complete', 6)
  lab.experiment('11:20', 'complete', 7)
  lab.add('12:00', 'lab_stop', {}, { workcell_id: workcell(4) })
  lab.add('12:30', 'node_start', { workcell_id: workcell(3) }, { node_id: 'named', node_name: 'in a cell' })
  lab.add('12:40', 'action_status_change', {}, { node_name: 'by name', action: 'go', status: 'running' })
  lab.add('12:50', 'action_status_change', {}, { node: 'by node', task_id: 't', status: 'RUNNING' })
  lab.workcell('13:00', 'start', 2)
  lab.action('13:00', 5, 'y', 'running')
  return lab.finish([
    'sessions',
    `sessions?${day('2001-07-02T06:30:00', '2001-07-02T09:15:00')}`,
    `periods?${day('2001-07-02', '2001-07-03')}&user_timezone=UTC`,
    `periods?${day('2001-07-02T07:00:00', '2001-07-02T09:00:00')}&analysis_type=hourly&user_timezone=UTC`,
    `periods?${day('2001-07-01', '2001-07-03')}&analysis_type=weekly&user_timezone=UTC`,
  ])
}

/** Nodes that fail, stop while busy, and say what nobody understands. */
function failingDay(): LabDay {
  const lab = createDay('failing', '2001-08-06', 4)
  lab.workcell('08:00:00.000001', 'start', 5)
  lab.node('08:00:10', 'node_start', 6, { node_name: 'arm' })
  lab.action('08:01', 6, 'p', 'running')
  lab.node('08:02', 'node_error', 6, { error: 'jam' })
  lab.node('08:03', 'node_stop', 6)
  lab.action('08:04', 6, 'p', 'completed')
  lab.node('08:05', 'node_start', 6)
  lab.node('08:05:30', 'node_start', 6)
  lab.action('08:06', 6, 'q', 'running')
  lab.action('08:07', 6, 'q', 'running')
  lab.action('08:08', 6, 'q', 'paused')
  lab.action('08:09:00.25', 6, 'q', 'failed')
  lab.action('08:10', 6, 'never began', 'failed')
  lab.node('08:11', 'action_status_change', 6, { status: 'running' })
  lab.node('08:12', 'action_status_change', 6, { action_id: 'r' })
  lab.node('08:13', 'action_start', 8, { action_id: 's' })
  lab.node('08:14', 'node_stop', 7)
  lab.add('08:15', 'workflow_start', { node_id: node(10) }, { workflow_id: 'x' })
  lab.experiment('08:16', 'start', 8, { name: 5, experiment_name: '  ' })
  lab.add('08:17', 'experiment_start', {}, { experiment: { _id: 'nested', name: 'By nested id' } })
  lab.add('08:18', 'experiment_complete', {}, { experiment: { experiment_id: 'nested' } })
  lab.experiment('08:19', 'pause', 8)
  lab.add('08:30', 'log_info', {}, { message: 'the last' })
  return lab.finish([
    'sessions',
    'sessions?csv_format=true',
    `sessions?${day('2001-08-06T08:05:00', '2001-08-06T08:06:30')}`,
    `periods?${day('2001-08-06', '2001-08-07')}&user_timezone=UTC`,
    `periods?${day('2001-08-06', '2001-08-07')}&user_timezone=UTC&csv_format=true`,
  ])
}

/** Sessions over midnight, over several days, and over the hour that a clock change takes (in Chicago on 1 April 2001). */
function midnightDay(): LabDay {
  const lab = createDay('midnight', '2001-03-30', 5)
  const date = (name: string, time: string) => `2001-${name}T${time}:00`
  lab.workcell(date('03-30', '20:00'), 'start', 6, { name: 'Night cell' })
  lab.experiment(date('03-30', '22:00'), 'start', 20)
  lab.action(date('03-30', '23:30'), 11, 'n1', 'running')
  lab.action(date('03-31', '01:15'), 11, 'n1', 'completed')
  lab.experiment(date('03-31', '02:00'), 'complete', 20)
  lab.workcell(date('03-31', '06:00'), 'stop', 6)
  lab.workcell(date('04-01', '03:00'), 'start', 6)
  lab.experiment(date('04-01', '07:30'), 'start', 21)
  lab.action(date('04-01', '07:45'), 11, 'n2', 'running')
  lab.action(date('04-01', '08:15'), 11, 'n2', 'failed')
  lab.experiment(date('04-01', '09:00'), 'complete', 21)
  lab.workcell(date('04-02', '09:00'), 'stop', 6)
  lab.workcell(date('04-10', '09:00'), 'start', 6)
  lab.experiment(date('04-10', '10:00'), 'start', 22)
  lab.experiment(date('04-12', '10:00'), 'complete', 22)
  lab.workcell(date('04-14', '09:00'), 'stop', 6)
  return lab.finish([
    'sessions',
    `periods?${day('2001-03-30', '2001-04-03')}&user_timezone=UTC`,
    `periods?${day('2001-03-29', '2001-04-01')}&user_timezone=America/Chicago`,
    `periods?${day('2001-04-02', '2001-04-13')}&user_timezone=America/Chicago`,
    `periods?${day('2001-03-26', '2001-04-16')}&user_timezone=Asia/Kolkata&analysis_type=weekly`,
    `periods?${day('2001-03-01', '2001-05-01')}&user_timezone=UTC&analysis_type=monthly`,
  ])
}

/** Windows in which nothing is, and times that are none. */
function emptyDay(): LabDay {
  const lab = createDay('empty', '2001-09-03', 6)
  lab.add('08:00:00Z', 'test')
  lab.node('08:00:01.5Z', 'node_status_update', 12)
  return lab.finish([
    'sessions',
    `sessions?${day('2002-01-01', '2002-01-02')}`,
    `sessions?${day('2002-01-02', '2002-01-01')}`,
    'sessions?start_time=bogus',
    'sessions?start_time=2001-09-03T08:00:00Z',
    'sessions?start_time=bogus&csv_format=true',
    `sessions?${day('2002-01-01', '2002-01-02')}&csv_format=true&save_to_file=true`,
    `user?${day('2002-01-01', '2002-01-02')}`,
    `user?${day('2002-01-01', '2002-01-02')}&csv_format=true`,
    'user?end_time=bogus',
    'periods',
    `periods?start_time=2002-01-01`,
    `periods?${day('2002-01-02', '2002-01-01')}`,
    `periods?${day('2002-01-02', 'bogus')}`,
    `periods?${day('2002-01-01', '2002-01-02')}&user_timezone=UTC`,
    `periods?${day('2002-01-01', '2002-01-02T12:00:00')}&user_timezone=UTC&csv_format=true`,
    `periods?${day('2002-01-01', '2002-01-02')}&user_timezone=UTC&analysis_type=monthly&csv_format=true`,
    `periods?${day('2001-09-03T08:00:00', '2001-09-03T10:30:00')}&analysis_type=hourly&user_timezone=UTC`,
  ])
}

export const labDays: readonly LabDay[] = [
  ordinaryDay(),
  workflowDay(),
  stopDay(),
  failingDay(),
  midnightDay(),
  emptyDay(),
]
