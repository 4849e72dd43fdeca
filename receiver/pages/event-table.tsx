import { Component } from 'preact'
import { messageOf, whoOf } from './event.tsx'
import { type Row, toAddress, type Wanted } from './explore-state.ts'
import { type Json, memberOf, textOf } from './json.ts'
import { Level } from './shell.tsx'
import { follow, zone } from './state.ts'
import { showTime } from './time.ts'

export function EventTable({ rows: shown, state }: { rows: Row[]; state: Wanted }) {
  const on = `${zone.value} ${toAddress({ ...state, id: '' })}`
  return (
    <table class={state.isOneLine ? 'events one-line' : 'events'}>
      <caption class="hidden">Events, newest first</caption>
      <thead class="hidden">
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Level</th>
          <th scope="col">Who</th>
          <th scope="col">Message</th>
        </tr>
      </thead>
      <tbody>
        {shown.map((row) => (
          <EventRow key={row.id} row={row} state={state} on={on} isSelected={row.id === state.id} />
        ))}
      </tbody>
    </table>
  )
}

interface EventRowProps {
  row: Row
  state: Wanted
  /** What all rows hang on: the clock, and the search in their addresses. */
  on: string
  isSelected: boolean
}

/** Of hundreds of rows two change when another event is shown whole. */
class EventRow extends Component<EventRowProps> {
  override shouldComponentUpdate({ row, on, isSelected }: EventRowProps) {
    return row !== this.props.row || on !== this.props.on || isSelected !== this.props.isSelected
  }

  override render({ row: { id, event }, state, isSelected }: EventRowProps) {
    return (
      <tr class={isSelected ? 'selected' : ''}>
        <td class="since" title={textOf(memberOf(event, 'event_timestamp'))}>
          {showTime(textOf(memberOf(event, 'event_timestamp')))}
        </td>
        <td>
          <Level level={Number(textOf(memberOf(event, 'log_level')))} />
        </td>
        <td>
          <Who event={event} />
        </td>
        <td>
          <a
            href={toAddress({ ...state, id })}
            onClick={follow}
            {...(isSelected && { 'aria-current': 'true' as const })}
          >
            <bdi>{messageOf(event)}</bdi>
          </a>
        </td>
      </tr>
    )
  }
}

/** Drawn again by itself when the receiver tells a name. */
function Who({ event }: { event: Json }) {
  return <bdi>{whoOf(event)}</bdi>
}
