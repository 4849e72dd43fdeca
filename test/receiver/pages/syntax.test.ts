import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parseAst } from 'rolldown/parseAst'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildPages } from '../../support/pages.ts'

/** Names that Chromium has and Firefox 128, the oldest that is supported, does not. */
const chromiumNames = new Set([
  'CookieStore',
  'EyeDropper',
  'NavigationHistoryEntry',
  'ReportingObserver',
  'Temporal',
  'URLPattern',
  'cookieStore',
  'documentPictureInPicture',
  'getInstalledRelatedApps',
  'measureUserAgentSpecificMemory',
  'navigation',
  'scheduler',
  'showOpenFilePicker',
  'showSaveFilePicker',
  'startViewTransition',
  'trustedTypes',
  'userAgentData',
  'webkitRequestFileSystem',
])
const chromiumCss = [
  '@view-transition',
  '@position-try',
  '@scope',
  'anchor-name',
  'field-sizing',
  'interpolate-size',
  'position-anchor',
  'text-wrap-style',
  '::-webkit-scrollbar',
  'zoom:',
  'if(',
]

let folder = ''
beforeAll(() => {
  folder = join(buildPages({ ifAbsent: true }), 'assets')
})
const read = (ending: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(folder, name), 'utf8'))

/** Every identifier and member name of a program. */
function* namesOf(node: unknown): Generator<string> {
  if (typeof node !== 'object' || node === null) return
  const { type, name } = node as { type?: unknown; name?: unknown }
  if (type === 'Identifier' && typeof name === 'string') yield name
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) for (const one of value) yield* namesOf(one)
    else yield* namesOf(value)
  }
}

describe('the built files, as far as other browsers than Chromium are concerned', () => {
  it('the scripts name nothing that Chromium alone has', () => {
    const scripts = read('.js')
    expect(scripts.length).toBeGreaterThan(0)
    for (const text of scripts) {
      const names = new Set(namesOf(parseAst(text)))
      expect(names.size).toBeGreaterThan(100)
      expect([...names].filter((name) => chromiumNames.has(name))).toEqual([])
    }
  })

  it('the style uses nothing that Chromium alone has', () => {
    const styles = read('.css')
    expect(styles.length).toBeGreaterThan(0)
    for (const text of styles) expect(chromiumCss.filter((one) => text.includes(one))).toEqual([])
  })

  it('all files have at most 60,000 bytes compressed', () => {
    const bytes = [...read('.js'), ...read('.css'), ...read('.svg')].reduce(
      (sum, text) => sum + gzipSync(text, { level: 9 }).length,
      0,
    )
    expect(bytes).toBeLessThan(60_000)
  })
})
