import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const version = '1.45.2'
const packages = [
  `opentelemetry-sdk==${version}`,
  `opentelemetry-exporter-otlp-proto-http==${version}`,
  'opentelemetry-instrumentation-logging==0.66b2',
]

/** A Python with OpenTelemetry's SDK, in an environment of its own that later runs find again. */
export function findPythonOtel(): { python: string } | { skip: string } {
  const folder = join(tmpdir(), `madsci-events-python-otel-${version}`)
  const python = join(folder, 'bin/python')
  const works = () =>
    existsSync(python) &&
    spawnSync(python, ['-c', 'import opentelemetry.sdk._logs, opentelemetry.instrumentation.logging.handler'])
      .status === 0
  if (works()) return { python }
  if (spawnSync('python3', ['-m', 'venv', folder]).status !== 0) return { skip: 'no python3 with venv' }
  const flags = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries', '1']
  spawnSync(python, [...flags, ...packages], { timeout: 180_000 })
  if (works()) return { python }
  rmSync(folder, { recursive: true, force: true })
  return { skip: `pip could not install ${packages[0]}` }
}
