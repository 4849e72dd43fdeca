import { diag } from '@opentelemetry/api'
import { getStringFromEnv } from '@opentelemetry/core'
import { type Source, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'

/** The ids of the process: MADSCI_NODE_ID, MADSCI_LAB_ID, … One that is none is warned of, and not used. */
export function readIdsFromEnv(): Source {
  const ids: Source = {}
  for (const key of sourceKeys) {
    const variable = `MADSCI_${key.toUpperCase()}`
    const id = getStringFromEnv(variable)?.trim()
    if (id === undefined) continue
    if (isUlid(id)) ids[key] = id
    else diag.warn(`${variable} is no ULID (26 upper-case characters): it is not used`)
  }
  return ids
}
