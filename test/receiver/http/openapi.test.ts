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

it('the page for people needs nothing from elsewhere', async () => {
  const page = await (await fetch(`${receiver.url}docs/`)).text()
  expect(page).toContain('swagger')
  for (const [, target] of page.matchAll(/(?:src|href)="([^"]+)"/g))
    expect(target).not.toMatch(/^(https?:)?\/\//)
})
