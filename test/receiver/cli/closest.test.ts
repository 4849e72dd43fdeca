import { describe, expect, it } from 'vitest'
import { commands } from '../../../receiver/src/cli/table.ts'
import { closestTo } from '../../../receiver/src/closest.ts'
import { runLine } from '../../support/command-run.ts'

const run = (...args: string[]) =>
  runLine(args, { workingDirectory: '/', stopping: AbortSignal.abort('test') })

describe('a word that is not known', () => {
  it('is compared with what there is: letters more, fewer, other and swapped', () => {
    const names = ['level', 'limit', 'start_time', 'number']
    expect(
      ['levle', 'leve', 'levels', 'lvele', 'Level', 'stat_tme', 'numbr'].map((one) => closestTo(one, names)),
    ).toEqual(['level', 'level', 'level', 'level', 'level', 'start_time', 'number'])
    expect(closestTo('lvl', names)).toBe('level')
    expect(closestTo('node', ['zone', 'number'])).toBe(undefined)
    expect(['', 'x', 'lxxxl', 'time', 'x'.repeat(100_000)].map((one) => closestTo(one, names))).toEqual(
      Array(5).fill(undefined),
    )
  })

  it('gets a sentence of ours for every command, and exit code 2', async () => {
    for (const [name, { options }] of Object.entries(commands)) {
      const unknown = await run(name, '--xyzzyx')
      expect(unknown, name).toEqual({
        code: 2,
        stdout: '',
        stderr: `--xyzzyx is no option here.\nmadsci-events ${name} --help tells what there is.\n`,
      })
      const setting = await run(name, '--server_ulr=http://localhost:1')
      expect(setting.stderr).toMatch(/^--server_ulr is no option here: did you mean --server_url\?\n/)
      for (const option of Object.keys(options ?? {})) {
        const { code, stderr } = await run(name, `--${option}x`)
        expect([code, stderr.split('\n')[0]]).toEqual([
          2,
          `--${option}x is no option here: did you mean --${option}?`,
        ])
      }
    }
    expect((await run('query', '--levle', 'error')).stderr).toMatch(/did you mean --level\?/)
    expect((await run('query', '--level', '-1')).stderr).toMatch(/^--level takes a value: --level=VALUE\.\n/)
    expect((await run('query', '--level')).stderr).toMatch(/^--level takes a value: --level=VALUE\.\n/)
    expect((await run('query', '--json=yes')).stderr).toMatch(/^--json takes no value\.\n/)
    expect((await run('query', '-q')).stderr).toMatch(/^-q is no option here\.\n/)
    expect((await run('status')).stderr).toMatch(/^'status' is no command here: did you mean doctor\?\n/)
    expect((await run('constructor')).stderr).toMatch(/^'constructor' is no command here\.\n/)
    expect((await run('qurey')).stderr).toMatch(/^'qurey' is no command here: did you mean query\?\n/)
    expect((await run('query', '--minutes=5')).stderr).toMatch(/^--minutes is no option of this command\./)
  })
})
