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
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    theme: { title },
    staticCSP: true,
    transformStaticCSP: (policy) => `${policy} frame-ancestors 'none';`,
  })
  // The original has two pages for people; ours is one.
  app.get('/redoc', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs', 307))
  let text: string | undefined
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(app.swagger())
    return reply.header('content-type', 'application/json').send(text)
  })
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
