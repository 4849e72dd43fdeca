import { readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { parseAst } from 'vite'
import { describe, expect, it } from 'vitest'
import { growth } from './support/doubling.ts'

process.env.RECHECK_BACKEND = 'pure'
const { checkSync } = await import('recheck')

/**
 * Regular expressions that the checker cannot show to be linear. What they see must be bounded otherwise, or a text made of
 * `pump` must not take more than linear time.
 */
const listed: { [expression: string]: { why: string; pump?: string[] } } = {
  '/\\$\\$|\\$\\{([^}]*)\\}/g': { why: "the program's own settings file, read once at the start" },
  '/^(?!0+$)[0-9a-f]{32}$/': { why: 'anchored, of fixed length', pump: ['0', 'a'] },
  '/^(?!0+$)[0-9a-f]{16}$/': { why: 'anchored, of fixed length', pump: ['0', 'a'] },
  '/^(?!0+$)[0-9a-f]{32}$/i': { why: 'anchored, of fixed length', pump: ['0', 'a'] },
  '/^(?!0+$)[0-9a-f]{16}$/i': { why: 'anchored, of fixed length', pump: ['0', 'a'] },
  '/^(?!0*$)[0-9a-fA-F]+$/': { why: 'anchored, one way to match', pump: ['0', 'a', '0a'] },
  '/\\b(?:[a-z][a-z0-9+.-]{0,19}:[\\\\/]+|(?:https?|wss?|smtps?):)[^\\s"\'<>`]+/gi': {
    why: 'at most 20 characters are read again',
    pump: ['a', 'a:', 'a:/', '/', 'http:', 'a.', ':'],
  },
  '/^(?=.*[0-9])(?=.*[a-z])[\\w~.%=-]{20,}$/i': { why: 'anchored', pump: ['0', 'a', '0a', '~'] },
  '/^_+|_+$/g': { why: 'a name of at most 80 bytes' },
  '/^application\\/(?:[\\w.-]{1,100}\\+)?json\\s*(?:;|$)/i': {
    why: 'anchored, of bounded length but for the spaces, which end it',
    pump: [' ', 'a', 'application/json '],
  },
  '/^([\'"]).*\\1$/s': { why: 'anchored at both ends', pump: ["'", '"', 'x'] },
  '/^\\w+\\.(?=\\w+$)/': { why: 'anchored, the point parts it', pump: ['a', 'a.', '.'] },
}

/** Where a pattern is made of a text. */
const made: { [file: string]: string } = {
  'sdk/src/testing/match.ts': 'patterns of a test of its own program',
  'receiver/src/http/error.ts': 'from the path of a route of ours, without repetition beside [^/]+',
  'receiver/src/store/regex.ts':
    'patterns that the linear engine cannot read: they run on a thread that is ended at its deadline',
}

interface Found {
  file: string
  pattern: string
  flags: string
}

const root = join(import.meta.dirname, '..')
const found: Found[] = []
const makers = new Set<string>()

function collect(file: string): void {
  const code = readFileSync(join(root, file), 'utf8')
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, regex, callee } = node as {
      type?: string
      regex?: { pattern: string; flags: string }
      callee?: { name?: string }
    }
    if (type === 'Literal' && regex) found.push({ file, ...regex })
    if (callee?.name === 'RegExp') makers.add(file)
    for (const [key, value] of Object.entries(node)) if (key !== 'regex') visit(value)
  }
  visit(parseAst(file.endsWith('.ts') ? stripTypeScriptTypes(code) : code))
}

for (const folder of ['sdk/src', 'receiver/src', 'receiver/bin'])
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }))
    if (/(?<!\.d)\.(ts|js)$/.test(name)) collect(`${folder}/${name}`)

const textOf = ({ pattern, flags }: Found) => `/${pattern}/${flags}`

describe('regular expressions in the sources', () => {
  it('are linear by proof, or stand on the list with a reason', { timeout: 120_000 }, () => {
    expect(found.length).toBeGreaterThan(100)
    // Several files have the same one: each is proven once.
    const unproven = [...new Map(found.map((one) => [textOf(one), one])).values()].filter((one) => {
      if (textOf(one) in listed) return false
      return checkSync(one.pattern, one.flags, { checker: 'automaton', timeout: 5000 }).status !== 'safe'
    })
    expect(unproven.map((one) => `${one.file} ${textOf(one)}`)).toEqual([])
  })

  it('the list holds what is there, and no more', () => {
    const all = new Set(found.map(textOf))
    expect(Object.keys(listed).filter((text) => !all.has(text))).toEqual([])
    expect([...makers].sort()).toEqual(Object.keys(made).sort())
  })

  for (const [text, { pump }] of Object.entries(listed)) {
    if (!pump) continue
    it(`${text} takes no more than linear time`, async () => {
      const [, pattern, flags] = /^\/(.*)\/(\w*)$/.exec(text)!
      const expression = new RegExp(pattern!, flags)
      for (const part of pump)
        for (const end of ['', '\0'])
          expect(
            await growth((size) => (part.repeat(size) + end).replace(expression, ''), {
              from: 8192,
              to: 262_144,
            }),
            part,
          ).toBeLessThan(2.5)
    })
  }
})
