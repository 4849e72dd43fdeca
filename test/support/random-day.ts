import { microsToTimestamp } from '@madsci-events/sdk/event'
import { createDay, experiment, id, type LabDay, node, workcell } from './lab-day.ts'
import { createRandom } from './workload.ts'

const zones = [
  'America/Chicago',
  'UTC',
  'Europe/Berlin',
  'Asia/Kolkata',
  'Asia/Tokyo',
  'Australia/Lord_Howe',
  'America/St_Johns',
  'Pacific/Apia',
  'Nowhere/Land',
]

const hourMicros = 3_600_000_000

/** Naive ISO time, with as many digits as Python writes: none where the fraction is zero. */
const toNaive = (micros: number) => microsToTimestamp(micros).replace('Z', '').replace('.000000', '')

/**
 * Some days on which anything happens that clients say, and what may be asked of them. No two events are at one moment, for
 * then the original's order is that of its database. Every third day tells its events out of their order.
 *
 * Left out is what the reports differ in on purpose: data that makes the original fail, and periods over a clock change.
 */
export function randomDay(seed: number): LabDay {
  const random = createRandom(seed)
  const upTo = (count: number) => Math.floor(random() * count)
  const pick = <Item>(list: readonly Item[]) => list[upTo(list.length)]!
  const maybe = <Item>(value: Item) => (random() < 0.5 ? value : undefined)
  const firstMicros = Date.UTC(2001, upTo(12), 1 + upTo(28), upTo(24)) * 1000
  const lab = createDay(`seed ${seed}`, '2001-01-01', 100 + (seed % 100_000))
  const lengthMicros = pick([3, 14, 40, 200]) * hourMicros
  const count = 20 + upTo(90)
  const nodeSource = () =>
    pick<{ [name: string]: string }>([
      { node_id: node(1 + upTo(3)) },
      { node_id: node(1 + upTo(3)) },
      { node_id: node(1 + upTo(3)), workcell_id: workcell(1) },
      { workcell_id: workcell(1 + upTo(3)) },
      {},
    ])
  const labSource = () =>
    pick<{ [name: string]: string }>([
      { workcell_id: workcell(1 + upTo(2)) },
      { workcell_id: workcell(1 + upTo(2)) },
      { manager_id: id('MGR', 1 + upTo(2)) },
      {},
    ])
  const withoutNone = (data: object) =>
    Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined))
  const author = () => pick(['ada', ' grace ', '', 'alan'])

  function add(time: string): void {
    switch (upTo(16)) {
      case 0:
      case 1: {
        const data = {
          workcell_id: maybe(workcell(1 + upTo(3))),
          name: maybe(pick(['Main', 'Workcell 7', ' '])),
          workcell_name: maybe('Cell'),
          lab_name: maybe('Lab'),
          display_name: maybe('Shown'),
        }
        const type = pick([
          'lab_start',
          'workcell_start',
          'workcell_start',
          'workcell_stop',
          'workcell_stop',
          'lab_stop',
        ])
        lab.add(time, type, labSource(), withoutNone(data))
        break
      }
      case 2:
      case 3:
      case 4: {
        const word = pick(['start', 'start', 'complete', 'complete', 'failed', 'cancelled', 'pause'])
        const number = 1 + upTo(4)
        const design = { experiment_design: { experiment_name: 'Designed' }, run_name: 'run' }
        const data = {
          experiment_name: maybe(pick([`Experiment ${number}`, ''])),
          name: maybe('named'),
          experiment: maybe({ _id: experiment(number), ...maybe(design) }),
          experiment_id: maybe(experiment(number)),
          status: maybe(pick(['done', 'completed', '', null])),
        }
        lab.add(
          time,
          `experiment_${word}`,
          withoutNone({ experiment_id: maybe(experiment(number)) }) as { [name: string]: string },
          withoutNone(data),
        )
        break
      }
      case 5: {
        const type = pick(['node_start', 'node_start', 'node_stop', 'node_error', 'node_config_update'])
        const data = {
          node_name: maybe(pick([' arm ', 'lid', ''])),
          node_id: maybe(node(1 + upTo(3))),
          node: maybe('by node'),
        }
        lab.add(time, type, nodeSource(), withoutNone(data))
        break
      }
      case 6:
        lab.add(time, 'node_status_update', nodeSource(), { status: 'ready' })
        break
      case 7:
      case 8: {
        const metadata = { author: author() }
        const data = {
          workflow_id: `w${upTo(6)}`,
          author: maybe(author()),
          definition_metadata: maybe(metadata),
          workflow_definition_metadata: maybe(metadata),
          name: maybe(pick(['prep', ''])),
          workflow_name: maybe('wash'),
        }
        const isStart = random() < 0.5
        const end = {
          status: maybe(
            pick<unknown>([
              'completed',
              'failed',
              { failed: true },
              { running: true, completed: false },
              { description: 'it was Cancelled' },
              { description: 'odd' },
            ]),
          ),
          duration_seconds: maybe(pick([900, 123.456, 0.25, 0])),
          start_time: maybe('2001-01-01T00:00:00'),
          end_time: maybe('2001-01-01T00:12:34.5'),
        }
        lab.add(
          time,
          pick(isStart ? ['workflow_start'] : ['workflow_complete', 'workflow_complete', 'workflow_abort']),
          {},
          withoutNone(isStart ? data : { ...data, ...end }),
        )
        break
      }
      case 9:
        lab.add(time, pick(['log_info', 'log_error', 'action_start', 'unknown']), nodeSource(), {
          message: 'hello',
        })
        break
      default: {
        const action = `a${upTo(5)}`
        const data = {
          ...pick<object>([
            { action_id: action },
            { action_id: action },
            { action },
            { task_id: action },
            {},
          ]),
          status: pick([
            'running',
            'running',
            'started',
            'in_progress',
            'succeeded',
            'succeeded',
            'completed',
            'failed',
            'RUNNING',
            'paused',
          ]),
          node_name: maybe('by name'),
        }
        lab.add(time, 'action_status_change', nodeSource(), withoutNone(data))
      }
    }
  }

  const moments = new Set<number>()
  while (moments.size < count) {
    const micros = firstMicros + upTo(lengthMicros)
    moments.add(random() < 0.5 ? micros : Math.floor(micros / 1e6) * 1e6)
  }
  const times = [...moments].sort((a, b) => a - b)
  for (const micros of times) {
    add(toNaive(micros))
    if (random() < 0.05 && seed % 3 !== 0) add(toNaive(micros))
  }

  const bound = () => {
    const micros =
      random() < 0.3 ? pick(times) : firstMicros + Math.floor((random() * 1.2 - 0.1) * lengthMicros)
    const text = toNaive(random() < 0.5 ? micros : Math.floor(micros / hourMicros) * hourMicros)
    return random() < 0.2 ? `${text}Z` : text
  }
  const query = (parameters: { [name: string]: string | undefined }) =>
    new URLSearchParams(withoutNone(parameters) as { [name: string]: string }).toString()
  const csv = () => (random() < 0.3 ? 'true' : undefined)
  const window = () => {
    const [start_time, end_time] = [bound(), bound()].sort()
    return { start_time: maybe(start_time!), end_time: maybe(end_time!), csv_format: csv() }
  }
  const requests = ['sessions', 'user', `sessions?${query(window())}`, `user?${query(window())}`]
  for (const analysis_type of ['hourly', 'daily', 'weekly', 'monthly', 'yearly']) {
    const [start_time, end_time] = [bound(), bound()].sort()
    const user_timezone = maybe(pick(zones))
    const parameters = { start_time, end_time, analysis_type, user_timezone }
    // The original keeps the first offset of the window, and a bucket may begin a month before it.
    if (hasClockChange(user_timezone ?? 'America/Chicago', start_time!, end_time!)) continue
    // Hours cost the original a report each.
    if (analysis_type === 'hourly' && Date.parse(end_time!) - Date.parse(start_time!) > 30 * 3_600_000)
      parameters.end_time = toNaive(Date.parse(`${start_time!.replace('Z', '')}Z`) * 1000 + 20 * hourMicros)
    requests.push(`periods?${query({ ...parameters, csv_format: csv() })}`)
  }
  if (seed % 3 === 0) lab.shuffle(random)
  return lab.finish(requests)
}

function hasClockChange(zone: string, start: string, end: string): boolean {
  if (zone === 'Nowhere/Land') return false
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
  const offsets = new Set<string>()
  const parse = (text: string) => Date.parse(`${text.replace('Z', '')}Z`)
  const dayMs = 86_400_000
  for (let ms = parse(start) - 32 * dayMs; ms <= parse(end) + 2 * dayMs; ms += dayMs / 2)
    offsets.add(format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')!.value)
  return offsets.size > 1
}
