import { allEventTypes, type Value } from '@madsci-events/sdk/event'

/** Where events say by id and by name what they are about. Sources: MADSci's EventClient and managers, 0.5 to 0.8. */
export interface Subject {
  /** In each event of it. */
  id: string
  /** Other paths of its id. */
  otherIds: readonly string[]
  names: readonly string[]
  /** Event types whose `event_data.name` is its name. */
  namedBy: readonly string[]
}

const subjectOf = (kind: string, names: readonly string[] = [], namedBy = typesOf(kind)): Subject => ({
  id: `source.${kind}_id`,
  otherIds: [`event_data.${kind}_id`],
  names: [`event_data.${kind}_name`, ...names],
  namedBy,
})

function typesOf(kind: string): string[] {
  const other = kind === 'workflow' ? 'workflow_step_' : ' '
  return allEventTypes.filter((type) => type.startsWith(`${kind}_`) && !type.startsWith(other))
}

export const subjects = {
  node: subjectOf('node', ['event_data.node_info.node_name', 'event_data.node', 'event_data.step_node']),
  workcell: subjectOf('workcell'),
  workflow: subjectOf('workflow'),
  experiment: subjectOf('experiment', [
    'event_data.run_name',
    'event_data.experiment_design.experiment_name',
    'event_data.experiment.run_name',
    'event_data.experiment.experiment_design.experiment_name',
  ]),
  campaign: subjectOf('campaign'),
  step: subjectOf('step', ['event_data.step.name'], typesOf('workflow_step')),
  action: subjectOf('action'),
  user: subjectOf('user', ['event_data.workflow_author', 'event_data.author']),
  manager: subjectOf('manager'),
  lab: subjectOf('lab'),
} as const satisfies { [kind: string]: Subject }
export type SubjectKind = keyof typeof subjects

export const isSubjectKind = (name: string): name is SubjectKind => Object.hasOwn(subjects, name)

/** The name by which MADSci's programs log. It is a node's where the event has the node's id. */
export const componentName = 'event_data.component_name'

const exists: Value = { $exists: true }

/** Conditions of which one holds for events that name something of this kind so. */
function namesAre(kind: SubjectKind, value: Value): Value[] {
  const { names, namedBy } = subjects[kind]
  const named: Value[] = names.map((path) => ({ [path]: value }))
  if (namedBy.length > 0)
    named.push({ 'event_data.name': value, $or: anyPath({ $in: [...namedBy] }, typePaths) })
  if (kind === 'node') named.push({ [componentName]: value, 'source.node_id': exists })
  return named
}

/** The event's own type, and the one within: MADSci's programs since 0.7 store events as `log_*`. */
export const typePaths = ['event_type', 'event_data.event_type'] as const

/** Types under which MADSci's programs since 0.7 store events of any type, and say it within. */
export const wrappingTypes: readonly string[] = allEventTypes.filter((type) => /^log(_|$)/.test(type))
export const innerTypes: readonly string[] = allEventTypes.filter(
  (type) => type !== 'unknown' && !wrappingTypes.includes(type),
)

export const anyPath = (value: Value, paths: readonly string[]): Value[] =>
  paths.map((path) => ({ [path]: value }))

/** Events of something by its names or ids; `ids` are those that events give something of these names. */
export function subjectCondition(kind: SubjectKind, given: readonly string[], ids: readonly string[]): Value {
  const { id, otherIds } = subjects[kind]
  const all = [...new Set([...given, ...ids])]
  return {
    $or: [
      ...anyPath({ $in: all }, [id, ...otherIds]),
      ...namesAre(kind, given.length === 1 ? given[0]! : { $in: [...given] }),
    ],
  }
}

/** The events that say which ids something of that name has. */
export function namingSelector(kind: SubjectKind, name: string): Value {
  const { id, otherIds } = subjects[kind]
  return { $and: [{ $or: anyPath(exists, [id, ...otherIds]) }, { $or: namesAre(kind, name) }] }
}

/** The events that say what things of those ids are called. */
export function namedSelector(kind: SubjectKind, ids: readonly string[]): Value {
  return { $and: [{ [subjects[kind].id]: { $in: [...ids] } }, { $or: namesAre(kind, exists) }] }
}
