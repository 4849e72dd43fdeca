/** Things that are always there: their wall time is the window. */
export const standingKinds = ['lab', 'workcell', 'node'] as const
/** Things that begin and end: their wall time is their life, within the window. */
export const runKinds = ['campaign', 'experiment', 'workflow', 'step', 'action'] as const
export const kinds = [...standingKinds, ...runKinds] as const
export type StandingKind = (typeof standingKinds)[number]
export type RunKind = (typeof runKinds)[number]
export type Kind = (typeof kinds)[number]
