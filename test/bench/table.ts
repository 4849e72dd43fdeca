import { alertStormBench } from './alert-storm.ts'
import { emitBench } from './emit.ts'
import { fanoutBench } from './fanout.ts'
import { historyBench } from './history.ts'
import { installBench } from './install.ts'
import { journalBench } from './journal.ts'
import { mongodbBench } from './mongodb.ts'
import { neighboursBench } from './neighbours.ts'
import { nullStoreBench } from './null-store.ts'
import { overloadBench } from './overload.ts'
import { pagesBench } from './pages.ts'
import { postEventBench } from './post-event.ts'
import { questionsBench } from './questions.ts'
import { reportIntakeBench } from './report-intake.ts'
import { reportPeerBench } from './report-peer.ts'
import { sqliteBench } from './sqlite.ts'
import { telemetryBench } from './telemetry.ts'
import { timelineBench } from './timeline.ts'
import { utilizationBench } from './utilization.ts'

/** Every bench by its name. */
export const benches = {
  emit: emitBench,
  install: installBench,
  mongodb: mongodbBench,
  journal: journalBench,
  sqlite: sqliteBench,
  'null-store': nullStoreBench,
  'post-event': postEventBench,
  overload: overloadBench,
  neighbours: neighboursBench,
  'alert-storm': alertStormBench,
  timeline: timelineBench,
  utilization: utilizationBench,
  'report-intake': reportIntakeBench,
  'report-peer': reportPeerBench,
  history: historyBench,
  questions: questionsBench,
  pages: pagesBench,
  fanout: fanoutBench,
  telemetry: telemetryBench,
}
