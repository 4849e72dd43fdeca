import type { FastifyInstance } from 'fastify'
import { findNames } from '../search/name.ts'
import type { EventStore, FindOptions } from '../store/event-store.ts'
import { isSubjectKind, type SubjectKind } from '../subject.ts'
import { findOptionsOf } from './find-options.ts'
import type { NamesAnswer } from './name-answer.ts'

// More than a list of a page has at once, less than an address has room for.
const maxIds = 100
/** Of so many, those that the newest events of all leave without a name are looked for one by one. */
const maxAlone = 20
const maxMs = 2000

/** GET /data/names?node=ID&workflow=ID…: what things of those ids are called, as far as events tell it soon. */
export function registerNames(app: FastifyInstance, { store }: { store: Pick<EventStore, 'find'> }): void {
  app.get('/data/names', { schema: { hide: true } }, async (request, reply): Promise<NamesAnswer> => {
    const find = { ...findOptionsOf(request, reply), untilMs: performance.now() + maxMs }
    const names: NamesAnswer['names'] = {}
    let count = 0
    for (const [kind, value] of Object.entries(request.query as { [name: string]: string | string[] })) {
      if (!isSubjectKind(kind)) continue
      const ids = [...new Set([value].flat())].slice(0, maxIds - count)
      count += ids.length
      if (ids.length > 0 && performance.now() < find.untilMs)
        names[kind] = Object.fromEntries(await readNames(store, { kind, ids }, find))
    }
    return { names }
  })
}

async function readNames(
  store: Pick<EventStore, 'find'>,
  { kind, ids }: { kind: SubjectKind; ids: readonly string[] },
  { untilMs, ...find }: FindOptions & { untilMs: number },
): Promise<Map<string, string>> {
  const names = await findNames(store, { kind, ids }, find)
  // One that speaks often leaves no room for the others.
  const missing = ids.length > 1 ? ids.filter((id) => !names.has(id)).slice(0, maxAlone) : []
  for (const id of missing) {
    if (performance.now() > untilMs) break
    for (const [found, name] of await findNames(store, { kind, ids: [id] }, find)) names.set(found, name)
  }
  return names
}
