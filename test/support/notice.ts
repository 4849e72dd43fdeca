import type { Notification } from '../../receiver/src/alert/group.ts'

/** What a channel is told in tests: one alert of rule `r` begins. */
export const notice: Notification = {
  id: 'a.1',
  alertId: 'a',
  rule: 'r',
  kind: 'firing',
  atMs: 1000,
  notBeforeMs: 1000,
  channels: undefined,
  key: '[]',
  labels: {},
  level: 40,
  why: 'w',
  count: 1,
  ids: ['e'],
  total: 1,
}
