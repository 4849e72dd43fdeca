import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type FoundPython = { python: string } | { skip: string }

interface Environment {
  /** Names the folder in which later runs find it again. */
  name: string
  packages: readonly string[]
  /** What shows that it works: `import …`. */
  check: string
}

/** A Python with packages of PyPI, in an environment of its own; or why there is none. */
export function findPython({ name, packages, check }: Environment): FoundPython {
  const folder = join(tmpdir(), `madsci-events-python-${name}`)
  const python = join(folder, 'bin/python')
  const works = () => existsSync(python) && spawnSync(python, ['-c', check]).status === 0
  if (works()) return { python }
  if (spawnSync('python3', ['-m', 'venv', folder]).status !== 0) return { skip: 'no python3 with venv' }
  const flags = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries', '1']
  spawnSync(python, [...flags, ...packages], { timeout: 240_000 })
  if (works()) return { python }
  rmSync(folder, { recursive: true, force: true })
  return { skip: `pip could not install ${packages[0]}` }
}

const otelVersion = '1.45.2'

/** A Python with OpenTelemetry's SDK. */
export function findPythonOtel(): FoundPython {
  return findPython({
    name: `otel-grpc-${otelVersion}`,
    packages: [
      `opentelemetry-sdk==${otelVersion}`,
      `opentelemetry-exporter-otlp-proto-http==${otelVersion}`,
      `opentelemetry-exporter-otlp-proto-grpc==${otelVersion}`,
      'opentelemetry-instrumentation-logging==0.66b2',
    ],
    check:
      'import opentelemetry.sdk._logs, opentelemetry.instrumentation.logging.handler, opentelemetry.exporter.otlp.proto.grpc',
  })
}

/** The Python client of an older release, which has its own event model. */
export function findOldClient(version: string): FoundPython {
  return findPython({
    name: `madsci-client-${version}`,
    // It does not work with the pydantic of today.
    packages: [`madsci.client==${version}`, `madsci.common==${version}`, 'pydantic<2.12'],
    check: 'from madsci.client.event_client import EventClient',
  })
}
