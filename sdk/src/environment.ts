import { detectResources, resourceAttributesEnvDetector } from '@opentelemetry/resources'
import { type Attributes, type ConfigFile, type FileValue, readConfigFile } from './config-file.ts'
import { diag } from './diagnostic.ts'
import { type Source, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'

/** What is configured from outside: by variables or, in the place of OpenTelemetry's, by the file of OTEL_CONFIG_FILE. */
export interface Environment {
  /** Not blank, or undefined. */
  get(variable: string): string | undefined
  /** What to call it when something is wrong with it. */
  nameOf(variable: string): string
  /** Of the process. */
  readonly resource: Attributes
  /** For destinations beyond the first. */
  readonly others: Environment[]
}

export function readEnvironment(): Environment {
  const path = readVariable('OTEL_CONFIG_FILE')
  const file = path === undefined ? undefined : readConfigFile(path.trim())
  if (file !== undefined) return fromFile(file)
  return {
    get: readVariable,
    nameOf: (variable) => variable,
    get resource() {
      return detectResources({ detectors: [resourceAttributesEnvDetector] }).attributes as Attributes
    },
    others: [],
  }
}

function fromFile(file: ConfigFile): Environment {
  const create = (exporter: Map<string, FileValue>): Environment => {
    const find = (variable: string) => exporter.get(variable) ?? file.values.get(variable)
    return {
      get: (variable) => (isOwn(variable) ? find(variable)?.text : readVariable(variable)),
      nameOf: (variable) => find(variable)?.path ?? variable,
      resource: file.resource,
      others: [],
    }
  }
  const [first = new Map(), ...others] = file.exporters
  return { ...create(first), others: others.map((one) => without(create(one), /^MADSCI_(REST_)?URL$/)) }
}

/** For one more destination: where the first one is, and the words that let it in, are not for this one. */
export function withoutEndpoint(environment: Environment): Environment {
  return without(environment, /^MADSCI_(REST_)?URL$|_ENDPOINT$|_HEADERS$|^EVENT_SERVER_URL$/)
}

function without(environment: Environment, hidden: RegExp): Environment {
  const { nameOf, resource } = environment
  const get = (variable: string) => (hidden.test(variable) ? undefined : environment.get(variable))
  return { get, nameOf, resource, others: [] }
}

const isOwn = (variable: string) => variable.startsWith('OTEL_')

function readVariable(name: string): string | undefined {
  const text = process.env[name]
  return text === undefined || text.trim() === '' ? undefined : text
}

/** The ids of the process: MADSCI_NODE_ID, MADSCI_LAB_ID, … One that is none is warned of, and not used. */
export function readIdsFromEnv(): Source {
  const ids: Source = {}
  for (const key of sourceKeys) {
    const variable = `MADSCI_${key.toUpperCase()}`
    const id = readVariable(variable)?.trim()
    if (id === undefined) continue
    if (isUlid(id)) ids[key] = id
    else diag.warn(`${variable} is no ULID (26 upper-case characters): it is not used`)
  }
  return ids
}
