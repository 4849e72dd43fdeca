import { expect, it } from 'vitest'
import { toChangelog } from './changelog.ts'

it('a release has its commits by kind, and other commits no line', () => {
  const commits = [
    { date: '2026-02-03', tag: '', subject: 'fix(store): a lock is released' },
    { date: '2026-02-02', tag: '', subject: 'test(store): more' },
    { date: '2026-02-01', tag: 'v1.0.0', subject: 'build: release 1.0.0' },
    { date: '2026-01-02', tag: '', subject: 'feat: something' },
    { date: '2026-01-01', tag: '', subject: 'perf(otlp)!: half the time' },
  ]
  expect(toChangelog(commits, 'Unreleased').split('\n').slice(4)).toEqual([
    '## Unreleased',
    '',
    '### Fixed',
    '',
    '- **store**: a lock is released',
    '',
    '## 1.0.0 (2026-02-01)',
    '',
    '### Added',
    '',
    '- something',
    '',
    '### Faster',
    '',
    '- **otlp**: half the time',
    '',
  ])
})
