import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { StoreReply } from '../../receiver/src/store/mongo/protocol.ts'
import { runSchedule, type ScheduleOptions, seeded } from './journal-schedule.ts'

const scenarios: Omit<ScheduleOptions, 'choose' | 'isMajority'>[] = [
  { faults: 1, processes: 2, followers: 2, writes: [['a'], ['a']] },
  { faults: 2, processes: 2, followers: 2, writes: [['a', 'b'], ['b', 'c'], ['d']] },
  { faults: 4, processes: 3, followers: 3, writes: [['a', 'b', 'c', 'a'], ['b', 'd'], ['a', 'd'], ['e']] },
]

function optionsOf(seed: number, mutation: Partial<ScheduleOptions> = {}): ScheduleOptions {
  const scenario = scenarios[seed % scenarios.length]!
  return { ...scenario, choose: seeded(seed), isMajority: seed % 2 === 0, ...mutation }
}

/** The first seed that goes wrong, and how. */
export function explore(
  count: number,
  mutation: Partial<ScheduleOptions> = {},
  from = 1,
): string | undefined {
  for (let seed = from; seed < from + count; seed++) {
    const wrong = runSchedule(optionsOf(seed, mutation))
    if (wrong) return `seed ${seed}: ${wrong}`
  }
  return undefined
}

/** What a thread is to explore. */
export interface Exploration extends Pick<ScheduleOptions, 'notDurable'> {
  from: number
  count: number
}

/** The same on two threads. */
export async function exploreWide(
  count: number,
  mutation: Pick<ScheduleOptions, 'notDurable'> = {},
): Promise<string | undefined> {
  const half = Math.ceil(count / 2)
  const parts = [1, half + 1].map(async (from) => {
    const workerData: Exploration = { ...mutation, from, count: half }
    const worker = new Worker(new URL('journal-worker.ts', import.meta.url), {
      workerData,
      execArgv: ['--conditions=madsci-events-source'],
    })
    const [found] = (await once(worker, 'message')) as [string | undefined]
    return found
  })
  return (await Promise.all(parts)).find((found) => found !== undefined)
}

let made = 0
export const mutations: { [name: string]: Partial<ScheduleOptions> } = {
  'an entry is not durable before its events are sent': { notDurable: 'begin' },
  'events are sent without an entry': {
    mutate: (step) => (step.do === 'begin' ? { do: 'look', id: step.entry.id } : step),
  },
  'followers read what is not durable': { notDurable: 'read', isMajority: false },
  'what was missing at a repair is forgotten': {
    mutate: (step) =>
      step.do === 'number'
        ? { ...step, changes: step.changes.map((change) => ({ ...change, missing: [] })) }
        : step,
  },
  'a repair takes events that another entry stored': {
    mutateReply: (step, reply, { now }) =>
      step.do === 'owned' ? new Set(step.ids.filter((id) => now.events.has(id))) : reply,
  },
  'duplicates of a second attempt are taken for those of others': {
    mutateReply: (step, reply) =>
      step.do === 'store' ? { ...(reply as StoreReply), isRetried: false } : reply,
  },
  'duplicates of a second attempt are taken for its own': {
    mutateReply: (step, reply) =>
      step.do === 'store' && (reply as StoreReply).isRetried
        ? { outcomes: step.entry.ids.map(() => 'stored'), isRetried: true }
        : reply,
  },
  'two repairs may make the same part': {
    mutate: (step) =>
      step.do === 'number'
        ? {
            ...step,
            changes: step.changes.map((one) => (one.entry ? { ...one, id: `${one.id}.${++made}` } : one)),
          }
        : step,
  },
  'nobody fills a number that is free for good': {
    mutate: (step) => (step.do === 'fill' ? { do: 'last' } : step),
  },
  'followers pass over a number that is free': {
    mutateReply: (step, reply) => (step.do === 'first' ? Number.MAX_SAFE_INTEGER : reply),
  },
}

/** Found within some hundred thousand schedules. */
export const rareMutations: { [name: string]: Partial<ScheduleOptions> } = {
  'repairs read events that are not durable': { notDurable: 'owned', isMajority: false },
}
