import { type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestReceiver } from '../../support/receiver.ts'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
let text: string
beforeAll(async () => {
  receiver = await startTestReceiver()
  text = await (await fetch(`${receiver.url}openapi.json`)).text()
})
afterAll(() => receiver.close())

it('every reference of the API description leads somewhere, and every schema is referred to', () => {
  const api = JSON.parse(text) as { openapi: string; components: { schemas: object } }
  expect(api.openapi).toBe('3.1.0')
  const references = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, target]) => target))
  const schemas = Object.keys(api.components.schemas).map((name) => `#/components/schemas/${name}`)
  expect([...references].sort()).toEqual(schemas.sort())
})

it('names each operation once', () => {
  const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id)
  expect(ids.length).toBeGreaterThan(15)
  expect(new Set(ids).size).toBe(ids.length)
})

it('groups its routes, and is named for what it is', () => {
  const api = JSON.parse(text) as {
    info: { title: string; description: string }
    tags: { name: string; description: string }[]
    paths: { [path: string]: { [method: string]: { tags?: string[]; summary?: string } } }
  }
  expect(api.info).toMatchObject({
    title: 'EventManager',
    description: expect.stringContaining('self-driving laboratory'),
  })
  const operations = Object.values(api.paths).flatMap((path) => Object.values(path))
  expect(operations.filter(({ summary }) => !summary)).toEqual([])
  const used = new Set(operations.flatMap(({ tags }) => tags ?? ['none']))
  expect([...used].sort()).toEqual(api.tags.map(({ name }) => name).sort())
  const tagOf = (path: string) => Object.values(api.paths[path]!)[0]!.tags
  expect(tagOf('/events/query')).toEqual(['Events'])
  expect(tagOf('/events/archive')).toEqual(['Archive and backup'])
  expect(tagOf('/v1/logs')).toEqual(['OpenTelemetry'])
  expect(tagOf('/alerts')).toEqual(['Alerts'])
})

it('what the page for people loads leaves compressed, for those who take it', async () => {
  const script = `${receiver.url}docs/static/swagger-ui-bundle.js`
  const sizeOf = async (encoding: string) => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) =>
      request(script, { headers: { 'accept-encoding': encoding } }, resolve)
        .once('error', reject)
        .end(),
    )
    let bytes = 0
    for await (const chunk of answer) bytes += chunk.length
    return [answer.statusCode, answer.headers['content-encoding'], bytes] as const
  }
  const [plain, packed] = [await sizeOf('identity'), await sizeOf('gzip, br')]
  expect([plain[0], plain[1], packed[0], packed[1]]).toEqual([200, undefined, 200, 'gzip'])
  expect(packed[2]).toBeLessThan(plain[2] / 2)
  const start = await (await fetch(`${receiver.url}docs/static/swagger-initializer.js`)).text()
  const [, logo] = /base64,([A-Za-z0-9+/=]+)/.exec(start)!
  expect(Buffer.from(logo!, 'base64').toString()).toContain('#1f5fbf')
})

it('the page for people needs nothing from elsewhere', async () => {
  const answer = await fetch(`${receiver.url}docs/`)
  const page = await answer.text()
  const policy = answer.headers.get('content-security-policy')!
  expect(policy).not.toMatch(/https?:|upgrade|validator/)
  expect(policy).toContain("frame-ancestors 'none'")
  expect(page).toContain('swagger')
  for (const [, target] of page.matchAll(/(?:src|href)="([^"]+)"/g))
    expect(target).not.toMatch(/^(https?:)?\/\//)
})

interface Described {
  operationId?: string
  parameters?: { name: string; description?: string }[]
  requestBody?: { content: { [type: string]: unknown } }
  responses: { [status: string]: { description: string; content?: object } }
}

const operationsOf = (): [route: string, operation: Described][] => {
  const { paths } = JSON.parse(text) as { paths: { [path: string]: { [method: string]: Described } } }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]): [string, Described] => [`${method} ${path}`, one]),
  )
}

it('every operation has a name, every parameter and every answer words', () => {
  const missing = operationsOf().flatMap(([route, { operationId, parameters = [], responses }]) => [
    ...(operationId ? [] : [`${route} operationId`]),
    ...parameters.filter((one) => !one.description).map((one) => `${route} ${one.name}`),
    ...Object.entries(responses)
      .filter(([, one]) => !one.description || one.description === 'Default Response')
      .map(([status]) => `${route} ${status}`),
  ])
  expect(missing).toEqual([])
})

it('OTLP routes take both encodings, and name their errors in both', () => {
  const otlp = operationsOf().filter(([route]) => route.startsWith('post /v1/'))
  expect(otlp).toHaveLength(3)
  for (const [, { requestBody, responses }] of otlp) {
    const types = ['application/x-protobuf', 'application/json']
    expect(Object.keys(requestBody!.content)).toEqual(types)
    expect(Object.keys(responses)).toEqual(['200', '400', '403', '413', '415', '429', '503'])
    for (const { content } of Object.values(responses)) expect(Object.keys(content!)).toEqual(types)
  }
})

it('what changes something names its 403, and the page for people offers no button for it', async () => {
  for (const [route, { responses }] of operationsOf())
    if (!route.startsWith('get ')) expect(Object.keys(responses), route).toContain('403')
  expect(text).toContain('A browser may only read')
  const start = await (await fetch(`${receiver.url}docs/static/swagger-initializer.js`)).text()
  expect(start).toMatch(/"supportedSubmitMethods":\s*\["get"\]/)
})
