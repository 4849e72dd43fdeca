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
    transformObject: jsonSchemaTransformObject,
  })
  await app.register(swaggerUi, { routePrefix: '/docs', theme: { title } })
  // The original has two pages for people; ours is one.
  app.get('/redoc', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs', 307))
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.header('content-type', 'application/json').send(JSON.stringify(app.swagger())),
  )
}
