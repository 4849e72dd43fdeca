export type { ActionOptions, Activity, ActivityOptions, Settled, WorkflowOptions } from './activity.ts'
export { EventClient } from './client.ts'
export type { DestinationStats } from './destination.ts'
export { type ErrorCode, EventError, errorTable } from './event/error.ts'
export type { Event, Source, SourceInput, SourceKey, Value } from './event/event.ts'
export { createEventId, isUlid } from './event/id.ts'
export { type EventLevel, eventLevels, type LevelName, levelNames } from './event/level.ts'
export { type EventType, eventTypes } from './event/type.ts'
export type { EventInput, TypedEventInput } from './input.ts'
export { createEventExporter, type EventExporter } from './log-exporter.ts'
export type {
  ActionEndData,
  ActionStartData,
  EndStatus,
  EventDataByType,
  EventDataInput,
  ExceptionData,
  ExperimentEndData,
  ExperimentStartData,
  LogData,
  NodeStatus,
  NodeStatusData,
  StepEndData,
  StepStartData,
  WorkflowEndData,
  WorkflowStartData,
} from './payload.ts'
export { createEventProcessor, type EventProcessor, type ProcessorOptions } from './processor.ts'
export type { Carrier } from './propagation.ts'
export type { GetEventsOptions } from './rest.ts'
export type { FlushOptions } from './sender.ts'
export type { ClientOptions, DestinationOptions, Protocol } from './setting.ts'
export { type DropReason, dropReasons, type Stats } from './tally.ts'
export {
  type UtilizationAnswer,
  type UtilizationInterval,
  type UtilizationOptions,
  type UtilizationReport,
  type UtilizationTimeline,
  type UtilizationTotals,
  utilizationReports,
} from './utilization.ts'
export { version } from './version.ts'
