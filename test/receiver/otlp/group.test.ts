import { type Event, fromDocument } from '@madsci-events/sdk/event'
import { expect, it } from 'vitest'
import { groupRecords } from '../../../receiver/src/otlp/group.ts'

const makeEvent = (number: number, service: string): Event =>
  fromDocument({
    event_id: `event-${number}`,
    event_type: 'log_info',
    event_data: { message: String(number) },
    otel: { resource: { 'service.name': service } },
  })

const messagesOf = (events: Event[]) =>
  groupRecords(events, { resource: { 'service.name': 'own' } }).flatMap(({ records }) =>
    records.map(({ body }) => body),
  )

it('records leave in the order of the events, also when two senders take turns', () => {
  const events = Array.from({ length: 20 }, (_, number) => makeEvent(number, number % 2 ? 'arm' : 'camera'))
  expect(messagesOf(events)).toEqual(events.map((_, number) => String(number)))
})

it('neighbours of one resource share a group', () => {
  const events = [0, 1, 2, 3, 4].map((number) => makeEvent(number, number < 3 ? 'arm' : 'camera'))
  expect(
    groupRecords(events, { resource: { 'service.name': 'own' } }).map(({ records }) => records.length),
  ).toEqual([3, 2])
})
