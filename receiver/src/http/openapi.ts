import compress from '@fastify/compress'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { completeDocument } from './api-document.ts'

export interface OpenApiOptions {
  title: string
  description: string | undefined
  version: string
}

const about =
  'The central log of a self-driving laboratory: events in by REST and OTLP, questions and alerts out.'

const readOnly =
  'A browser may only read: what changes something is for other programs, and answers 403 to pages, this one included.'

/** Groups of routes, in the order in which they are shown; a route is of the one with the longest beginning of its path. */
const groups = [
  { name: 'Events', about: 'taken in, found, followed', paths: ['/event', '/e/', '/explore'] },
  { name: 'OpenTelemetry', about: 'OTLP/HTTP', paths: ['/v1/'] },
  { name: 'Utilization', about: 'how busy the laboratory was', paths: ['/utilization'] },
  { name: 'Alerts', about: 'what was raised, and by which rule', paths: ['/alerts'] },
  {
    name: 'Archive and backup',
    about: 'what becomes of events in time',
    paths: ['/events/archive', '/backup'],
  },
  { name: 'Operation', about: 'health, counters, settings, and what the pages read', paths: ['/'] },
] as const

function groupOf(url: string): string {
  const lengthIn = ({ paths }: (typeof groups)[number]) =>
    Math.max(...paths.map((path) => (url.startsWith(path) ? path.length : 0)))
  return groups.toSorted((a, b) => lengthIn(b) - lengthIn(a))[0]!.name
}

// Nothing from elsewhere; plain http in the network of a laboratory stays what it is. Its styles stand in its elements.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** /openapi.json (OpenAPI 3.1, from the schemas of the routes) and /docs, which needs nothing from elsewhere. */
export async function registerOpenApi(app: FastifyInstance, options: OpenApiOptions): Promise<void> {
  const { title, description = about, version } = options
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title, description: `${description}\n\n${readOnly}`, version },
      tags: groups.map((group) => ({ name: group.name, description: group.about })),
    },
    transform: (given) => {
      const transformed = jsonSchemaTransform(given)
      return { ...transformed, schema: { ...transformed.schema, tags: [groupOf(given.url)] } }
    },
    transformObject: (document) => completeDocument(tidy(jsonSchemaTransformObject(document))),
  })
  // Its scripts are 1.7 MB.
  await app.register(async (scope) => {
    await scope.register(compress, { encodings: ['gzip'] })
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      // Its button for anything else would be answered with 403.
      uiConfig: { supportedSubmitMethods: ['get'] },
      theme: {
        title,
        favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: icon }],
      },
      logo: { type: 'image/svg+xml', content: Buffer.from(icon) },
      staticCSP: policy,
    })
  })
  // The original has two pages for people; ours is one.
  app.get('/redoc', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs', 307))
  let text: string | undefined
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(app.swagger())
    return reply.header('content-type', 'application/json').send(text)
  })
}

// As on the pages, without which the receiver may run.
const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1f5fbf"/>' +
  '<path d="M3 9h2l2-5 3 9 2-4h1" fill="none" stroke="#fff" stroke-width="1.5"/></svg>'

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
