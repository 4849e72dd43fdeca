import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

export interface PackedProject {
  /** Its folder, with a package.json. */
  readonly path: string
  /** The package as it would be published. */
  readonly archive: string
  run(command: string, args: string[], env?: NodeJS.ProcessEnv): { status: number | null; text: string }
  /** Node, while this process goes on: it is the receiver. */
  start(args: string[], env?: NodeJS.ProcessEnv): Promise<{ code: number | null; text: string }>
  remove(): void
}

/** A project of its own, with the packed SDK beside it. Throws when it cannot be packed. */
export function createPackedProject(): PackedProject {
  const path = mkdtempSync(join(tmpdir(), 'madsci-pack-'))
  const env = (more: NodeJS.ProcessEnv = {}) => ({
    ...process.env,
    MADSCI_SPOOL_DIR: join(path, 'spool'),
    ...more,
  })
  const runIn = (cwd: string, command: string, args: string[], more?: NodeJS.ProcessEnv) => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd, env: env(more), encoding: 'utf8' })
    return { status, text: stdout + stderr }
  }
  const packed = runIn(root, 'npm', ['pack', '-w', 'sdk', '--pack-destination', path])
  if (packed.status !== 0) throw new Error(packed.text)
  writeFileSync(join(path, 'package.json'), '{"name":"lab","private":true}')
  return {
    path,
    archive: join(path, readdirSync(path).find((name) => name.endsWith('.tgz'))!),
    run: (command, args, more) => runIn(path, command, args, more),
    async start(args, more) {
      const options = { cwd: path, env: env(more), stdio: ['ignore', 'pipe', 'pipe'] as const }
      const child = spawn(process.execPath, args, { ...options, stdio: [...options.stdio] })
      let text = ''
      for (const stream of [child.stdout!, child.stderr!])
        stream.on('data', (chunk) => {
          text += chunk
        })
      const [code] = (await once(child, 'close')) as [number | null]
      return { code, text }
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** Puts the packed SDK into the project's node_modules. Its dependencies, as npm would install them, are those of this checkout. */
export function unpackSdk({ path, archive, run }: PackedProject, others: string[] = []): void {
  const { status, text } = run('tar', ['-xzf', archive])
  if (status !== 0) throw new Error(text)
  const modules = join(path, 'node_modules')
  mkdirSync(join(modules, '@madsci-events'), { recursive: true })
  renameSync(join(path, 'package'), join(modules, '@madsci-events/sdk'))
  for (const name of ['@opentelemetry', 'ulid', 'js-yaml', ...others])
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
}
