import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { Service } from 'kubernetes-models/v1'
import { afterEach, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { settings } from '../../receiver/src/config/config.ts'
import type { Setting } from '../../receiver/src/config/setting.ts'

const folder = join(import.meta.dirname, '../../docker/kubernetes')
const models = {
  Deployment: { model: Deployment, from: 'kubernetes-models/apps/v1' },
  StatefulSet: { model: StatefulSet, from: 'kubernetes-models/apps/v1' },
  PodDisruptionBudget: { model: PodDisruptionBudget, from: 'kubernetes-models/policy/v1' },
  NetworkPolicy: { model: NetworkPolicy, from: 'kubernetes-models/networking.k8s.io/v1' },
  Service: { model: Service, from: 'kubernetes-models/v1' },
}
type Kind = keyof typeof models
interface Workload {
  spec: {
    template: {
      metadata: { labels: object }
      spec: { containers: { ports: { name: string }[]; resources: { limits: { memory: string } } }[] }
    }
  }
}
interface Policy {
  spec: {
    podSelector: { matchLabels: object }
    policyTypes: string[]
    ingress: { from: object[]; ports: { port: string }[] }[]
  }
}

const manifests = readdirSync(folder).flatMap((file) =>
  parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => ({
    file,
    manifest: document.toJS() as { kind: Kind; metadata: { name: string } },
  })),
)

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

async function typeCheck(source: string): Promise<string> {
  const place = mkdtempSync(join(import.meta.dirname, '.types-'))
  cleanups.push(() => rmSync(place, { recursive: true, force: true }))
  const path = join(place, 'manifest.ts')
  writeFileSync(path, source)
  const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')
  const args = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--module', 'nodenext', path]
  return promisify(execFile)(process.execPath, [tsc, ...args]).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  )
}

const toSource = (list: { manifest: { kind: Kind } }[]) =>
  list
    .map(({ manifest }, i) => {
      const { from } = models[manifest.kind]
      return `import type { I${manifest.kind} as T${i} } from '${from}'\nexport const m${i}: T${i} = ${JSON.stringify(manifest)}`
    })
    .join('\n')

describe('the Kubernetes manifests', () => {
  it('keep the schemas of Kubernetes', () => {
    expect(manifests.length).toBeGreaterThanOrEqual(6)
    for (const { file, manifest } of manifests) {
      const { model } = models[manifest.kind]
      expect(() => new model(manifest as never).validate(), `${file}: ${manifest.kind}`).not.toThrow()
    }
  })

  it('say where people reach the receiver', () => {
    for (const file of ['sqlite.yaml', 'mongodb.yaml'])
      expect(readFileSync(join(folder, file), 'utf8'), file).toMatch(/name: EVENT_PUBLIC_URL, value: "https:/)
  })

  it('have no field that Kubernetes does not know', async () => {
    expect(await typeCheck(toSource(manifests))).toBe('')
    const wrong = structuredClone(manifests[0]!.manifest)
    Object.assign(wrong, { spek: {} })
    expect(await typeCheck(toSource([{ manifest: wrong }]))).toContain('spek')
  })

  it('let no pod of another namespace reach what has no login', () => {
    const workloads = manifests.filter(
      ({ manifest: { kind } }) => kind === 'Deployment' || kind === 'StatefulSet',
    )
    expect(workloads).toHaveLength(3)
    for (const { file, manifest } of workloads) {
      const { template } = (manifest as unknown as Workload).spec
      const policies = manifests.filter((one) => one.file === file && one.manifest.kind === 'NetworkPolicy')
      expect(policies, file).toHaveLength(1)
      const { podSelector, policyTypes, ingress } = (policies[0]!.manifest as unknown as Policy).spec
      expect(template.metadata.labels, file).toMatchObject(podSelector.matchLabels)
      expect(policyTypes).toEqual(['Ingress'])
      expect(ingress).toHaveLength(1)
      expect(ingress[0]!.from).toEqual([{ podSelector: {} }])
      const names = template.spec.containers.flatMap(({ ports }) => ports.map(({ name }) => name))
      expect(ingress[0]!.ports.map(({ port }) => port).sort()).toEqual(names.sort())
      for (const { resources } of template.spec.containers) expect(resources.limits.memory).toBe('1Gi')
    }
  })

  it('name only settings that the receiver has', () => {
    const known = Object.entries(settings).flatMap(([name, { variables }]: [string, Setting<unknown>]) => [
      ...(variables ?? [`EVENT_${name.toUpperCase()}`]),
    ])
    for (const { file } of manifests) {
      const text = readFileSync(join(folder, file), 'utf8')
      for (const [name] of text.matchAll(/\bEVENT_[A-Z_]+/g))
        expect(known, `${file}: ${name}`).toContain(name)
    }
  })
})
