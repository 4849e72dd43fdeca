import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const documents = globSync('**/*.md', {
  cwd: root,
  exclude: (name) => /(^|\/)(node_modules|dist|\.git|\.madsci)$/.test(name),
})

/** The text without fenced code, in which a bracket and a parenthesis are no link. */
function proseOf(text: string): string[] {
  let isFenced = false
  return text.split('\n').filter((line) => {
    const isFence = line.trimStart().startsWith('```')
    if (isFence) isFenced = !isFenced
    return !isFence && !isFenced
  })
}

/** The anchors that GitHub gives to the headings of a document. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>()
  const anchors = new Set<string>()
  for (const line of proseOf(text)) {
    const [, heading] = /^#{1,6} (.*)$/.exec(line) ?? []
    if (heading === undefined) continue
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    anchors.add(count === 0 ? slug : `${slug}-${count}`)
  }
  return anchors
}

it('anchors are those of GitHub', () => {
  const text = "# A b\n```sh\n# no heading\n```\n## `GET /x`, y's\n## A b\n"
  expect([...anchorsOf(text)]).toEqual(['a-b', 'get-x-ys', 'a-b-1'])
})

it('every relative link and anchor of every document exists', () => {
  expect(documents.length).toBeGreaterThan(25)
  const broken: string[] = []
  let links = 0
  for (const file of documents) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [, target] of proseOf(text)
      .join('\n')
      .matchAll(/\]\((?![a-z]+:)([^)\s]+)\)/g)) {
      links++
      const [path, anchor] = target!.split('#')
      const found = path === '' ? join(root, file) : join(root, dirname(file), path!)
      const isThere = existsSync(found) && !relative(root, found).startsWith('..')
      const isRight =
        isThere &&
        (anchor === undefined ||
          (statSync(found).isFile() && anchorsOf(readFileSync(found, 'utf8')).has(anchor)))
      if (!isRight) broken.push(`${file}: ${target}`)
    }
  }
  expect(links).toBeGreaterThan(60)
  expect(broken).toEqual([])
})
