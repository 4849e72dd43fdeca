import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { compareBench, compareReports, toComparisonText } from './compare.ts'
import type { Report } from './figure.ts'

let root: string
let journal: string
const given = process.env.TMPDIR
const git = (...args: string[]) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' })

/** A repository whose one bench notes where it ran and tells the figure that its source holds. */
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'madsci-compare-'))
  journal = join(root, 'journal')
  process.env.TMPDIR = join(root, 'tmp')
  await mkdir(join(root, 'tmp'))
  await mkdir(join(root, 'test/bench'), { recursive: true })
  await writeFile(join(root, '.gitignore'), 'journal\ntmp\n')
  await write(1000)
  git('init', '-q')
  git('config', 'user.email', 'test@example.com')
  git('config', 'user.name', 'test')
  git('add', '.')
  git('commit', '-qm', 'old')
})
afterEach(async () => {
  if (given === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = given
  await rm(root, { recursive: true, force: true })
})

const write = (rate: number, more = '') =>
  writeFile(
    join(root, 'test/bench/table.ts'),
    `import { appendFileSync } from 'node:fs'
     export const benches: object = {
       toy: {
         async run(scale: number) {
           appendFileSync(${JSON.stringify(journal)}, \`${rate} \${scale} \${process.env.TMPDIR}\\n\`)
           ${more}
           return { figures: [{ what: 'toy', value: ${rate}, unit: 'events/s' }], verdicts: [], skipped: [] }
         },
       },
     }`,
  )

const compare = (signal = new AbortController().signal, reference = 'HEAD', lines: string[] = []) =>
  compareBench({
    root,
    reference,
    name: 'toy',
    pairs: 7,
    bound: 0.05,
    scale: 0.5,
    signal,
    print: (line) => lines.push(line),
  })

const report = (rate: number, ms: number, ratio = 1): Report => ({
  question: '',
  figures: [
    { what: 'intake', value: rate, unit: 'events/s' },
    { what: 'p99', value: ms, unit: 'ms' },
    { what: 'count', value: rate, unit: 'messages' },
    { what: 'refused', value: 0, unit: 'events/s' },
  ],
  verdicts: [{ what: 'ours / theirs', ratio, kind: 'least', bound: 1 }],
  skipped: [],
})

describe('a comparison with an older commit', () => {
  it('runs both sides in turns, in processes and folders of their own, and leaves nothing behind', async () => {
    await write(900)
    const lines: string[] = []
    const [comparison] = await compare(undefined, 'HEAD', lines)
    expect(comparison).toMatchObject({ what: 'toy', old: 1000, new: 900, verdict: 'worse' })
    expect(comparison!.ratio).toEqual({ median: 0.9, low: 0.9, high: 0.9 })
    const runs = (await readFile(journal, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
    expect(runs.map(([rate]) => rate)).toEqual(
      Array.from({ length: 7 }, (_, pair) => (pair % 2 === 0 ? ['1000', '900'] : ['900', '1000'])).flat(),
    )
    expect(new Set(runs.map(([, scale]) => scale))).toEqual(new Set(['0.5']))
    expect(runs.every(([, , folder]) => folder !== tmpdir() && !existsSync(folder!))).toBe(true)
    expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1)
    expect(lines[0]).toMatch(/^toy: the working tree against \w+ old$/)
  })

  it('says same for a loss within the bound', async () => {
    await write(960)
    const [comparison] = await compare()
    expect(comparison!.verdict).toBe('same')
    expect(toComparisonText([comparison!], 0.05)).toContain('nothing is worse by more than 5 %')
  })

  it('ends, with its worktree, when it is stopped or a side fails', async () => {
    const stopping = new AbortController()
    await write(1000, 'await new Promise((done) => setTimeout(done, 60_000))')
    const stopped = compare(stopping.signal)
    while (!(await readFile(journal, 'utf8').catch(() => '')).includes('1000 0.5')) await pause()
    stopping.abort(new Error('enough'))
    await expect(stopped).rejects.toThrow('enough')
    await write(1000, "throw new Error('the answers are wrong')")
    await expect(compare()).rejects.toThrow(/the answers are wrong/)
    await expect(compare(undefined, 'nowhere')).rejects.toThrow("'nowhere' is no commit of this repository")
    expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1)
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  it('tells which files of the bench differ, so that unlike work is not taken for a loss', async () => {
    await mkdir(join(root, 'test/support'))
    await writeFile(join(root, 'test/support/load.ts'), '')
    git('add', '.')
    git('commit', '-qm', 'support')
    await appendFile(join(root, 'test/support/load.ts'), '// more')
    const lines: string[] = []
    await compare(undefined, 'HEAD', lines)
    expect(lines[1]).toContain('these files differ: test/support/load.ts')
  })
})

describe('the verdict about a figure', () => {
  const seven = <T>(make: (index: number) => T) => Array.from({ length: 7 }, (_, index) => make(index))
  const verdictsOf = (old: Report[], young: Report[]) =>
    Object.fromEntries(compareReports(old, young, 0.05).map(({ what, verdict }) => [what, verdict]))

  it('follows the direction of its unit', () => {
    const old = seven(() => report(1000, 10))
    expect(
      verdictsOf(
        old,
        seven(() => report(800, 20, 0.8)),
      ),
    ).toEqual({
      intake: 'worse',
      p99: 'worse',
      count: 'not judged',
      'ours / theirs': 'worse',
    })
    expect(
      verdictsOf(
        old,
        seven(() => report(1200, 5, 1.2)),
      ),
    ).toMatchObject({
      intake: 'better',
      p99: 'better',
      'ours / theirs': 'better',
    })
  })

  it('needs the whole interval beyond the bound: a noisy loss is none', () => {
    const old = seven(() => report(1000, 10))
    const noisy = seven((index) => report(index === 3 ? 1000 : 700 + 60 * index, 10))
    expect(verdictsOf(old, noisy).intake).toBe('same')
    expect(
      verdictsOf(
        old,
        seven((index) => report(850 + 10 * index, 10)),
      ).intake,
    ).toBe('worse')
  })
})

const pause = () => new Promise((resolve) => setTimeout(resolve, 20))
