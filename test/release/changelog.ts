// Writes CHANGELOG.md from the subjects of the commits: npm run changelog
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const titles: { [type: string]: string } = { feat: 'Added', fix: 'Fixed', perf: 'Faster' }

export interface Commit {
  /** YYYY-MM-DD */
  date: string
  /** `v1.2.3` where the commit is tagged as a release, else ''. */
  tag: string
  subject: string
}

/** Newest first → the text of the changelog: a section for each release, the newest commits under `next`. */
export function toChangelog(commits: readonly Commit[], next: string): string {
  const releases: { title: string; lines: Map<string, string[]> }[] = [{ title: next, lines: new Map() }]
  for (const { date, tag, subject } of commits) {
    if (tag !== '') releases.push({ title: `${tag.slice(1)} (${date})`, lines: new Map() })
    const [, type, scope, text] = /^(\w+)(?:\(([^)]*)\))?!?: (.*)$/.exec(subject) ?? []
    const heading = titles[type ?? '']
    if (heading === undefined) continue
    const { lines } = releases.at(-1)!
    const line = `- ${scope === undefined ? '' : `**${scope}**: `}${text}`
    lines.set(heading, [...(lines.get(heading) ?? []), line])
  }
  const sections = releases
    .filter(({ lines }) => lines.size > 0)
    .map(({ title, lines }) => {
      const parts = Object.values(titles).filter((heading) => lines.has(heading))
      return `## ${title}\n\n${parts.map((heading) => `### ${heading}\n\n${lines.get(heading)!.join('\n')}`).join('\n\n')}`
    })
  return `# Changelog\n\nMade from the commits by \`npm run changelog\`; the word in bold is the folder.\n\n${sections.join('\n\n')}\n`
}

/** The commits of the checkout, newest first, without merges. */
export function readCommits(): Commit[] {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 } as const
  const log = execFileSync('git', ['log', '--no-merges', '--format=%cs%x09%D%x09%s'], options)
  return log
    .trim()
    .split('\n')
    .map((line) => {
      const [date = '', names = '', ...subject] = line.split('\t')
      const tag = names.split(', ').find((name) => name.startsWith('tag: v'))
      return { date, tag: tag?.slice('tag: '.length) ?? '', subject: subject.join('\t') }
    })
}

export function writeChangelog(next: string): void {
  writeFileSync(join(root, 'CHANGELOG.md'), toChangelog(readCommits(), next))
}

if (import.meta.main) writeChangelog('Unreleased')
