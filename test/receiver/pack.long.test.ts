import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

describe('the packed receiver, in a project of its own', () => {
  let project: string
  let bin: string
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'madsci-pack-receiver-'))
    const run = (command: string, args: string[], cwd: string) => {
      const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
      expect(status, stdout + stderr).toBe(0)
    }
    run('npm', ['pack', '-w', 'receiver', '-w', 'sdk', '--pack-destination', project], root)
    for (const name of ['receiver', 'sdk']) {
      const archive = readdirSync(project).find(
        (file) => file.endsWith('.tgz') && file.includes(`-${name}-`),
      )!
      run('tar', ['-xzf', archive], project)
      const target = join(project, 'node_modules/@madsci-events', name)
      mkdirSync(dirname(target), { recursive: true })
      renameSync(join(project, 'package'), target)
      // Its dependencies, as npm would install them; they are those of this checkout.
      const { dependencies } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8')) as {
        dependencies: object
      }
      for (const one of Object.keys(dependencies).filter(
        (dependency) => !dependency.startsWith('@madsci-events/'),
      )) {
        const link = join(project, 'node_modules', one)
        const own = join(root, name, 'node_modules', one)
        mkdirSync(dirname(link), { recursive: true })
        if (!existsSync(link)) symlinkSync(existsSync(own) ? own : join(root, 'node_modules', one), link)
      }
    }
    bin = join(project, 'node_modules/@madsci-events/receiver/bin/madsci-events.js')
  })
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  it('holds what was built and no more, and publint has nothing to say', async () => {
    const pkgDir = join(project, 'node_modules/@madsci-events/receiver')
    expect(readdirSync(pkgDir).sort()).toEqual([
      'LICENSE',
      'README.md',
      'bin',
      'dist',
      'docs',
      'package.json',
    ])
    expect(readdirSync(join(pkgDir, 'dist/pages')).sort()).toEqual(['assets', 'index.html'])
    const { messages } = await publint({ pkgDir, level: 'suggestion', strict: true, pack: false })
    expect(messages).toEqual([])
    const files = readdirSync(join(project, 'node_modules'), { recursive: true, encoding: 'utf8' })
    expect(files.filter((name) => name.includes('@madsci-events') && name.endsWith('.tsbuildinfo'))).toEqual(
      [],
    )
  })

  it('serves, also where the project has a condition called source, and shows what waits in a spool', async () => {
    const env = { ...process.env, NODE_OPTIONS: '--conditions=source' }
    const flags = ['--server_url=http://127.0.0.1:0', '--otlp_port=none', '--grpc_port=none']
    const child = spawn(process.execPath, [bin, 'serve', ...flags], {
      cwd: project,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await expect.poll(() => text, { timeout: 20_000 }).toContain('events rest in')
    const [url] = /http:\S+/.exec(text)!
    const events = new EventClient({ url, spool: false })
    const id = events.info('x')
    await events.audit(id)
    await events.close()
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    const spool = spawnSync(process.execPath, [bin, 'spool', '--count', '--json', project], {
      env,
      encoding: 'utf8',
    })
    expect(spool).toMatchObject({ status: 0, stdout: '{"spool":[]}\n' })
  })
})
