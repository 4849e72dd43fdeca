import { createEventId, type Event, EventError, fromDocument } from '@madsci-events/sdk/event'
import { Cron } from 'croner'
import type { Log } from '../log.ts'
import type { Backups } from './backup.ts'

export interface ScheduleOptions {
  /** Five fields of cron, or @hourly, @daily, @weekly, @monthly, in local time. */
  pattern: string
  backups: Backups
  log: Log
  /** Of the events that tell of a failure. */
  managerId: string
  /** Stores such an event; the alert rules see it. */
  report(event: Event): Promise<unknown>
}

export interface Schedule {
  /** When the next backup is due; undefined when never. */
  next(): Date | undefined
  close(): Promise<void>
}

/**
 * Backups at the times of the pattern. One that was due while no receiver ran is made at the start, so that the schedule
 * holds also for a machine that is off at night. Throws EVT_CONFIG for a pattern that is none.
 */
export function startSchedule({ pattern, backups, log, managerId, report }: ScheduleOptions): Schedule {
  let making: Promise<void> = Promise.resolve()
  let toldReason: string | undefined
  let toldMs = 0
  const make = () => {
    making = backups.create('scheduled').then(
      () => {},
      async ({ message: reason }: Error) => {
        log.error({ reason }, 'a scheduled backup failed')
        // A schedule of minutes fills nothing: the counter has each failure.
        if (reason === toldReason && performance.now() - toldMs < againMs) return
        await report(toFailureEvent(reason, managerId)).then(
          () => {
            toldReason = reason
            toldMs = performance.now()
          },
          (error: Error) =>
            log.error({ reason: error.message }, 'the event of a failed backup could not be stored'),
        )
      },
    )
    return making
  }
  const job = createJob(pattern, make)
  making = catchUp()

  async function catchUp(): Promise<void> {
    const newest = (await backups.list().catch(() => []))[0]
    if (newest === undefined) return
    const due = new Cron(pattern, { paused: true }).nextRun(new Date(newest.created_at))
    if (due && due.getTime() <= Date.now()) await make()
  }

  return {
    next: () => job.nextRun() ?? undefined,
    async close() {
      job.stop()
      await making
    },
  }
}

/** Undefined when it never comes. Throws EVT_CONFIG for a pattern that is none. */
export const nextBackup = (pattern: string): Date | undefined => toCron(pattern).nextRun() ?? undefined

const toCron = (pattern: string): Cron => named(pattern, () => new Cron(pattern, { paused: true }))

function named(pattern: string, make: () => Cron): Cron {
  try {
    return make()
  } catch (cause) {
    const message = `backup_schedule is no schedule: '${pattern}' (${(cause as Error).message})`
    throw new EventError('EVT_CONFIG', message, { cause })
  }
}

function createJob(pattern: string, make: () => Promise<void>): Cron {
  return named(pattern, () => new Cron(pattern, { protect: true, unref: true }, make))
}

const againMs = 3_600_000

const toFailureEvent = (reason: string, managerId: string): Event =>
  fromDocument({
    _id: createEventId(),
    event_type: 'manager_error',
    log_level: 40,
    event_timestamp: `${new Date().toISOString().slice(0, 23)}000Z`,
    source: { manager_id: managerId },
    event_data: { message: `a scheduled backup failed: ${reason}` },
  })
