import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'

export interface OpenApiOptions {
  title: string
  description: string | undefined
  version: string
}

/** /openapi.json (OpenAPI 3.1, from the schemas of the routes) and /docs, which needs nothing from elsewhere. */
export async function registerOpenApi(app: FastifyInstance, options: OpenApiOptions): Promise<void> {
  const { title, description = `${title} Manager`, version } = options
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title, description, version } },
    transform: jsonSchemaTransform,
    transformObject: (document) => tidy(jsonSchemaTransformObject(document)),
  })
  await app.register(swaggerUi, { routePrefix: '/docs', theme: { title } })
  // The original has two pages for people; ours is one.
  app.get('/redoc', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs', 307))
  let text: string | undefined
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(withoutUnused(app.swagger() as Api))
    return reply.header('content-type', 'application/json').send(text)
  })
}

interface Api {
  components?: { schemas?: { [name: string]: unknown } }
}

/** The generator adds each schema twice, as input and as output: those that nothing refers to are left out. */
function withoutUnused<Api extends { components?: { schemas?: { [name: string]: unknown } } }>(
  api: Api,
): Api {
  const { schemas = {} } = api.components ?? {}
  const used = new Set<string>()
  const visit = (part: unknown) => {
    for (const [, name] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      if (used.has(name!) || !Object.hasOwn(schemas, name!)) continue
      used.add(name!)
      visit(schemas[name!])
    }
  }
  visit({ ...api, components: { ...api.components, schemas: {} } })
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)))
  return { ...api, components: { ...api.components, schemas: kept } }
}

const prefix = '#/components/schemas/'

/** The library lists every schema twice, as taken (`…Input`) and as answered; what nobody refers to goes, and the one that stays has the name. */
function tidy<Document extends object>(document: Document): Document {
  const { components } = document as { components?: { schemas?: { [name: string]: unknown } } }
  if (!components?.schemas) return document
  for (;;) {
    const text = JSON.stringify(document)
    const unused = Object.keys(components.schemas).filter((name) => !text.includes(`"${prefix}${name}"`))
    if (unused.length === 0) break
    for (const name of unused) delete components.schemas[name]
  }
  const { schemas } = components
  const alone = Object.keys(schemas).filter(
    (name) => name.endsWith('Input') && !(name.slice(0, -5) in schemas),
  )
  return JSON.parse(JSON.stringify(document), (key, value) => {
    if (key === '$ref' && alone.some((name) => value === prefix + name)) return value.slice(0, -5)
    if (key !== 'schemas') return value
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [alone.includes(name) ? name.slice(0, -5) : name, one]),
    )
  })
}
