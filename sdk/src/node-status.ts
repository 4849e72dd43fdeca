import type { EventLevel } from './event/level.ts'
import type { EventInput } from './input.ts'
import { type NodeStatus, type NodeStatusWord, nodeStatusWords } from './payload.ts'

const healthy: readonly string[] = ['ready', 'busy', 'initializing', 'idle', 'ok']

/** Flags of MADSci, all of them: what a status leaves out is not the case. */
const noFlags = Object.fromEntries(nodeStatusWords.map((word) => [word, false]))

/** A node_status_update: level 20 when all is well, else 30. Total. */
export function toNodeStatusEvent(status: NodeStatus | string, data: object | undefined): EventInput {
  const word = typeof status === 'string' ? status : wordOf(status)
  const log_level: EventLevel = healthy.includes(word) ? 20 : 30
  return {
    event_type: 'node_status_update',
    log_level,
    event_data: {
      message: `The node is ${word}`,
      ...data,
      status: typeof status === 'string' ? status : { ...noFlags, ...status },
    },
  }
}

function wordOf(status: NodeStatus): NodeStatusWord {
  try {
    if ([...(status?.waiting_for_config ?? [])].length > 0) return status.errored ? 'errored' : 'initializing'
    return nodeStatusWords.find((word) => status?.[word] === true) ?? 'ready'
  } catch {
    return 'ready'
  }
}
