import type { FastifyInstance } from 'fastify'
import { sendJson } from './answer.ts'
import { type SendPage, sendPageTo } from './pages.ts'
import { createParameters } from './parameter.ts'
import { schemas } from './schema.ts'

export interface SettingsDoorOptions {
  settings: {
    /** Every setting, secrets redacted. */
    all: object
    /** Those that somebody set. */
    given: object
    /** JSON Schema. */
    schema: object
  }
  /** What MADSci 0.5 told of a manager. */
  definition: { name: string; description: string | null; manager_id: string; manager_type: string }
}

/** GET /settings as MADSci 0.7 and 0.8 have it; GET / and GET /definition as 0.5 had them. A browser gets a page at `/`. */
export function registerSettings(
  app: FastifyInstance,
  { settings, definition }: SettingsDoorOptions,
  sendPage: SendPage | undefined,
): void {
  app.get('/settings', { schema: schemas.getSettings }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const defaults = parameters.boolean('include_defaults', true)
    const schema = parameters.boolean('include_schema', false)
    parameters.check()
    return sendJson(reply, {
      settings: defaults ? settings.all : settings.given,
      ...(schema && { schema: settings.schema, schema_title: 'EventManagerSettings' }),
    })
  })

  for (const [url, operationId] of [
    ['/', 'get_root'],
    ['/definition', 'get_definition'],
  ] as const) {
    app.get(url, { schema: { ...schemas.getDefinition, operationId } }, async (request, reply) => {
      const page = url === '/' ? sendPageTo(request, reply, sendPage) : undefined
      return page ?? sendJson(reply, definition)
    })
  }
}
