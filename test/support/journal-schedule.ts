import {
  type Closing,
  closeEntries,
  type EntryPage,
  readEntries,
  repair,
  type Step,
  type Steps,
  type StoreReply,
  writeEntry,
} from '../../receiver/src/store/mongo/protocol.ts'
import { isWithin, toRanges } from '../../receiver/src/store/range.ts'
import { durableSteps, LostReply, ModelDatabase } from './journal-model.ts'

/** Gives one of `count` ways to go on; 0 is the one without a fault. */
export type Choose = (count: number) => number

export interface ScheduleOptions {
  choose: Choose
  /** Kills of processes, crashes of the database, and purges at most. */
  faults: number
  processes: number
  /** The ids of each write; the same id may come in several. */
  writes: string[][]
  followers: number
  isMajority: boolean
  /** Spoils the protocol: another command in place of one. */
  mutate?: (step: Step) => Step
  /** Spoils a reply. */
  mutateReply?: (step: Step, reply: unknown, database: ModelDatabase) => unknown
  /** Spoils the durability of a step. */
  notDurable?: Step['do']
}

interface Task {
  process: Process | undefined
  steps: Steps<unknown>
  settle: (result: unknown, error: unknown) => void
}

interface Process {
  closings: Closing[]
  last: number | undefined
  isClosing: boolean
  isRepairing: boolean
  isDead: boolean
}

/** A command on its way: 'ready' with its sender, 'sent', then 'executed', then replied. */
interface Flight {
  task: Task
  step: Step
  phase: 'ready' | 'sent' | 'executed'
  incarnation: number
  reply: unknown
  isRetried: boolean
}

interface Reader {
  at: number
  given: string[]
  isReading: boolean
}

const maxSteps = 3000

/** Runs one schedule to its end. Gives what is wrong with it; undefined when nothing is. */
export function runSchedule(options: ScheduleOptions): string | undefined {
  const { choose, isMajority, mutate = (step) => step, mutateReply = (_, reply) => reply } = options
  const database = new ModelDatabase()
  const processes: Process[] = []
  const flights: Flight[] = []
  const readers: Reader[] = Array.from({ length: options.followers }, () => ({
    at: 0,
    given: [],
    isReading: false,
  }))
  const waiting = [...options.writes]
  const acknowledged = new Set<string>()
  const everStored: string[] = []
  const purged = new Set<string>()
  let entryCount = 0
  let faults = options.faults
  let isQuiet = false

  const fresh = (): Process => ({
    closings: [],
    last: undefined,
    isClosing: false,
    isRepairing: false,
    isDead: false,
  })
  while (processes.length < options.processes) processes.push(fresh())

  function advance(task: Task, next: () => IteratorResult<Step, unknown>): void {
    let result: IteratorResult<Step, unknown>
    try {
      result = next()
    } catch (error) {
      if (!(error instanceof LostReply)) throw error
      task.settle(undefined, error)
      return
    }
    if (result.done) task.settle(result.value, undefined)
    else flights.push(flightOf(task, result.value, false))
  }

  const flightOf = (task: Task, step: Step, isRetried: boolean): Flight => ({
    task,
    step,
    phase: 'ready',
    incarnation: 0,
    reply: undefined,
    isRetried,
  })

  function begin<T>(
    process: Process | undefined,
    steps: Steps<T>,
    settle: (result: T | undefined, error: unknown) => void,
  ): void {
    const task: Task = { process, steps, settle: settle as Task['settle'] }
    advance(task, () => steps.next())
  }

  function write(process: Process): void {
    const ids = waiting.shift()!
    const entry = { id: `E${++entryCount}`, ids }
    begin(process, writeEntry(entry), (outcomes, error) => {
      if (error) {
        // No answer: the sender sends it again.
        waiting.push(ids)
        return
      }
      for (const id of ids) acknowledged.add(id)
      const out = outcomes!.flatMap((outcome, k) => (outcome === 'stored' ? [] : [k]))
      process.closings.push({ entry, out: toRanges(out) })
    })
  }

  function close(process: Process): void {
    process.isClosing = true
    const closings = process.closings.splice(0)
    begin(process, closeEntries(closings, process.last), (last, error) => {
      process.isClosing = false
      process.last = error ? undefined : last
      if (error) process.closings.unshift(...closings)
    })
  }

  function startRepair(process: Process, id: string, onNothing = () => {}): void {
    process.isRepairing = true
    begin(process, repair(id), (isFound, error) => {
      process.isRepairing = false
      if (!error && !isFound) onNothing()
    })
  }

  function read(reader: Reader): void {
    reader.isReading = true
    begin<EntryPage>(undefined, readEntries(reader.at, 3), (page, error) => {
      reader.isReading = false
      if (error || !page) return
      for (const { id, ids, n, out = [] } of page.entries) {
        ids.forEach((one, k) => {
          if (!isWithin(out, k)) reader.given.push(`${one} of ${id.split('.')[0]}`)
        })
        reader.at = n!
      }
    })
  }

  function execute(flight: Flight): void {
    const step = mutate(flight.step)
    const reply = database.execute(step, isMajority)
    if (step.do === 'store') {
      const { outcomes } = reply as StoreReply
      for (const [k, id] of step.entry.ids.entries())
        if (outcomes[k] === 'stored') everStored.push(`${id} of ${step.entry.id}`)
      ;(reply as StoreReply).isRetried = flight.isRetried
    }
    flight.reply = mutateReply(step, reply, database)
    flight.phase = 'executed'
  }

  function reply(flight: Flight): void {
    remove(flight)
    if (durableSteps.has(flight.step.do) && flight.step.do !== options.notDurable) database.flush()
    if (!flight.task.process?.isDead) advance(flight.task, () => flight.task.steps.next(flight.reply))
  }

  function lose(flight: Flight): void {
    remove(flight)
    if (flight.task.process?.isDead) return
    if (flight.step.do === 'store' && !flight.isRetried) {
      flights.push(flightOf(flight.task, flight.step, true))
      return
    }
    advance(flight.task, () => flight.task.steps.throw(new LostReply()))
  }

  const remove = (flight: Flight) => flights.splice(flights.indexOf(flight), 1)

  function crash(): void {
    // What was lost was never stored.
    for (const lost of database.crash(choose(3) / 2)) {
      const place = everStored.lastIndexOf(lost)
      if (place >= 0) everStored.splice(place, 1)
    }
    for (const flight of [...flights]) if (flight.phase !== 'ready') lose(flight)
  }

  function kill(process: Process): void {
    process.isDead = true
    processes[processes.indexOf(process)] = fresh()
    for (const flight of [...flights]) {
      if (flight.task.process !== process) continue
      // Its answer will not come, and what was sent may still be executed.
      if (flight.phase !== 'sent') remove(flight)
      if (flight.step.do === 'store') waiting.push([...flight.step.entry.ids])
    }
    for (const { entry } of process.closings) if (choose(2) === 1) waiting.push([...entry.ids])
  }

  type Action = () => void
  function actions(): Action[] {
    const all: Action[] = []
    for (const flight of flights) {
      if (flight.phase === 'ready')
        all.push(() => {
          flight.phase = 'sent'
        })
      else if (flight.phase === 'sent') all.push(() => execute(flight))
      else all.push(() => reply(flight))
    }
    for (const process of processes) {
      if (process.closings.length > 0 && !process.isClosing) all.push(() => close(process))
      if (waiting.length > 0) all.push(() => write(process))
    }
    for (const reader of readers) if (!reader.isReading && !isQuiet) all.push(() => read(reader))
    if (isQuiet) return all
    const pending = [...database.now.entries.values()].filter((entry) => entry.isPending)
    for (const process of processes)
      if (!process.isRepairing && pending.length > 0)
        all.push(() => startRepair(process, pending[choose(pending.length)]!.id))
    // Rare, so that they meet every state.
    if (faults > 0 && choose(12) === 1) {
      const fault = (action: Action) => () => {
        faults--
        action()
      }
      for (const process of processes) all.push(fault(() => kill(process)))
      all.push(fault(crash))
      const [victim] = database.now.events.keys()
      if (victim !== undefined)
        all.push(
          fault(() => {
            purged.add(`${victim} of ${database.now.events.get(victim)}`)
            database.purge(victim)
          }),
        )
    }
    if (choose(6) === 1) all.push(() => database.flush())
    return all
  }

  function isPrefixOfOther(): string | undefined {
    for (const one of readers)
      for (const other of readers) {
        const length = Math.min(one.given.length, other.given.length)
        for (let i = 0; i < length; i++)
          if (one.given[i] !== other.given[i])
            return `two followers differ at ${i}: ${one.given} / ${other.given}`
      }
    return undefined
  }

  /** Everything that is under way comes to its end. */
  function settle(): boolean {
    for (let step = 0; step < maxSteps; step++) {
      const [first] = actions()
      if (!first) return true
      first()
    }
    return false
  }

  const length = 20 + choose(8) * 20
  for (let step = 0; step < length; step++) {
    const all = actions()
    all[choose(all.length)]!()
  }
  isQuiet = true
  if (!settle()) return 'it does not come to rest'
  for (let round = 0; ; round++) {
    if (round > 50) return 'repairs do not come to rest'
    let isFound = false
    for (const { id } of [...database.now.entries.values()].filter((entry) => entry.isPending)) {
      let hasNothing = false
      startRepair(processes[0]!, id, () => {
        hasNothing = true
      })
      if (!settle()) return 'a repair does not come to rest'
      if (!hasNothing) isFound = true
    }
    if (!isFound) break
  }
  database.flush()
  for (const reader of readers) {
    for (let at = -1, tries = 0; at !== reader.at || tries < 3; tries = at === reader.at ? tries + 1 : 0) {
      at = reader.at
      if (!reader.isReading) read(reader)
      if (!settle()) return 'a follower does not come to rest'
    }
  }

  for (const id of acknowledged) {
    const isThere = everStored.some((one) => one.startsWith(`${id} of `))
    if (!isThere) return `${id} was acknowledged and is lost`
  }
  for (const { given } of readers) {
    if (new Set(given).size !== given.length) return `given twice: ${given}`
    const lacking = everStored.filter((one) => !given.includes(one) && !purged.has(one))
    if (lacking.length > 0) return `stored and not given: ${lacking}; given ${given}`
    const ghost = given.filter((one) => !everStored.includes(one))
    if (ghost.length > 0) return `given and not stored: ${ghost}`
  }
  return isPrefixOfOther()
}

/** mulberry32 */
export function seeded(seed: number): Choose {
  let a = seed
  return (count) => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * count)
  }
}
