import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { findPeer, spawnPeer } from '../support/peer.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Every method of the client that works against the original; what each gave, as JSON on the last line. */
const script = `
import json, sys, time
from datetime import datetime
from madsci.client.event_client import EventClient
from madsci.common.types.event_types import Event, EventType, EventLogLevel
client = EventClient(event_server_url=sys.argv[1])
out = {}
client.info("one", volume=3)
client.warning("three"); client.error("four"); client.critical("five")
client.log(Event(event_type=EventType.NODE_START, event_data={"n": 2**60}))
client.alert("door open")
mine = Event(event_type=EventType.TEST, event_data={"a": [1, None]})
client.log(mine)
deadline = time.time() + 20
while time.time() < deadline:
    events = client.get_events(number=50, level=0)
    if len(events) >= 8: break
    time.sleep(0.1)
out["types"] = sorted(str(e.event_type.value) for e in events.values())
out["newest_first"] = [e.event_timestamp for e in events.values()] == sorted((e.event_timestamp for e in events.values()), reverse=True)
got = client.get_event(mine.event_id)
out["get_event"] = [got.event_id == mine.event_id, got.event_type.value, got.event_data]
out["warnings"] = sorted({int(e.log_level) for e in client.get_events(number=50, level=30).values()})
def attempt(name, call):
    try:
        out[name] = json.loads(json.dumps(call(), default=str))
    except Exception as error:
        out[name] = "raised " + type(error).__name__ + ": " + str(error)[:200]
attempt("query_events", lambda: list(client.query_events({"_id": mine.event_id, "archived": False, "trace_id": None}).keys()) == [mine.event_id])
attempt("archive_events", lambda: client.archive_events(event_ids=[mine.event_id]))
attempt("get_archived", lambda: client.get_event(mine.event_id).archived)
attempt("purge_events", lambda: client.purge_events(older_than_days=30))
window = ["2001-05-07T00:00:00", "2001-05-09T00:00:00"]
workflow = {"workflow_id": "w1", "author": "ada", "name": "prep"}
for kind, minute, data in [("workcell_start", 0, {}), ("workflow_start", 5, workflow), ("workflow_complete", 35, {**workflow, "duration_seconds": 1800})]:
    client.log(Event(event_type=EventType(kind), event_timestamp=datetime(2001, 5, 7, 8, minute), event_data=data, source={"workcell_id": "01ACCEWKC00000000000000001"}))
deadline = time.time() + 20
while time.time() < deadline:
    report = client.get_user_utilization_report(*window)
    if report and report["report_metadata"]["total_workflows"] == 1 and report["user_utilization"]["ada"]["completed_workflows"] == 1: break
    time.sleep(0.1)
attempt("user_report", lambda: client.get_user_utilization_report(*window)["user_utilization"]["ada"]["total_runtime_hours"])
attempt("sessions", lambda: [s["session_name"] for s in client.get_session_utilization(*window)["session_details"]])
attempt("sessions_csv", lambda: client.get_session_utilization(*window, csv_export=True)[:26])
attempt("periods", lambda: client.get_utilization_periods(*window, analysis_type="daily", user_timezone="UTC")["summary_metadata"]["total_periods"])
attempt("periods_csv", lambda: client.get_utilization_periods(*window, csv_export=True)[:34])
attempt("user_csv", lambda: client.get_user_utilization_report(*window, csv_export=True)[:40])
attempt("create_backup", lambda: client.create_backup())
attempt("get_backup_status", lambda: client.get_backup_status())
print("RESULT " + json.dumps(out, default=str))
`

describe("MADSci's own Python client, unmodified", () => {
  for (const backend of ['sqlite', 'mongodb'] as const) {
    it(`works against the receiver on ${backend}`, async (context) => {
      const peer = findPeer('MADSCI_PEER')
      if ('skip' in peer) return context.skip(peer.skip)
      const store = await prepareStore(backend)
      if ('skip' in store) return context.skip(store.skip)
      cleanups.push(store.stop)
      const receiver = await startTestReceiver({ flags: store.flags })
      cleanups.push(() => receiver.close())
      const file = join(receiver.folder, 'client.py')
      await writeFile(file, script)
      const client = spawnPeer(peer.path, ['python', file, receiver.url], { cwd: receiver.folder })
      cleanups.push(() => client.stop())
      await client.exited
      const line = client.output.split('\n').find((one) => one.startsWith('RESULT '))
      expect(line, client.output.slice(-3000)).toBeDefined()
      const result = JSON.parse(line!.slice('RESULT '.length))
      expect(result.types).toEqual(
        expect.arrayContaining([
          'log_critical',
          'log_error',
          'log_info',
          'log_warning',
          'node_start',
          'test',
        ]),
      )
      expect(result.newest_first).toBe(true)
      expect(result.get_event).toEqual([true, 'test', { a: [1, null] }])
      expect(Math.min(...result.warnings)).toBeGreaterThanOrEqual(30)
      expect(result.query_events).toBe(true)
      expect(result.archive_events).toEqual({
        archived_count: 1,
        message: 'Successfully archived 1 events',
      })
      expect(result.get_archived).toBe(true)
      expect(result.purge_events).toMatchObject({ deleted_count: 0 })
      expect(result.user_report).toBe(0.5)
      expect(result.sessions).toEqual(['Workcell 00000001'])
      expect(result.sessions_csv).toBe('=== UTILIZATION REPORT ===')
      expect(result.periods).toBe(2)
      expect(result.periods_csv).toBe('=== UTILIZATION PERIODS REPORT ===')
      expect(result.user_csv).toBe('=== DETAILED USER UTILIZATION REPORT ===')
      expect(result.create_backup).toMatchObject({ status: 'completed' })
      expect(result.get_backup_status).toMatchObject({ available_backups: [{ is_valid: true }] })
    })
  }
})
