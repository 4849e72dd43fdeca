import { EventError } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readConfig, settings } from '../../../receiver/src/config/config.ts'
import { type Setting, showAll } from '../../../receiver/src/config/setting.ts'
import { variablesOf } from '../../../receiver/src/config/source.ts'

const entries = Object.entries<Setting<unknown>>(settings)

const text = fc.oneof(
  fc.string(),
  fc.json(),
  fc.integer().map(String),
  fc.double().map(String),
  fc.constantFrom('null', 'none', '[]', '{}', '[{}]', '{"a":{}}', 'true', '*', '"', '-1', '9'.repeat(400)),
  fc.webUrl(),
)

describe('any text of any setting', () => {
  it('is taken and can be shown as JSON, or is a problem that begins with where it stands', () => {
    fc.assert(
      fc.property(fc.constantFrom(...entries), text, ([name, one], given) => {
        const variable = variablesOf(name, one)[0]!
        try {
          const config = readConfig({ environment: { [variable]: given } })
          const shown = showAll(settings, { ...config })
          expect(JSON.parse(JSON.stringify(shown))).toHaveProperty(name)
        } catch (error) {
          expect(error).toBeInstanceOf(EventError)
          const { code, detail } = error as EventError
          expect(code).toBe('EVT_CONFIG')
          expect((detail as string[]).every((line) => line.startsWith(variable))).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('that is a secret is never repeated', () => {
    const secrets = entries.filter(([, { secret }]) => secret)
    const word = fc.stringMatching(/^[a-z0-9]{12,20}$/)
    fc.assert(
      fc.property(fc.constantFrom(...secrets), word, fc.boolean(), ([name, one], password, isUrl) => {
        const given = isUrl ? `mongodb+x://user:${password}@host/` : password
        const variable = variablesOf(name, one)[0]!
        try {
          const config = readConfig({ environment: { [variable]: given } })
          expect(JSON.stringify(showAll(settings, { ...config }))).not.toContain(password)
        } catch (error) {
          expect((error as EventError).message).not.toContain(password)
        }
      }),
      { numRuns: 300 },
    )
  })
})
