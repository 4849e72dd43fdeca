import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { settings } from '../../receiver/src/config/config.ts'
import type { Setting } from '../../receiver/src/config/setting.ts'
import { variablesOf } from '../../receiver/src/config/source.ts'

const folder = join(import.meta.dirname, '../../docker')

interface Service {
  image: string
  extends?: object
  mem_limit?: string
  ports?: string[]
  networks?: string[]
  network_mode?: string
  restart?: string
  env_file?: object[]
  environment?: { [name: string]: string }
  user?: string
  security_opt?: string[]
}
interface File {
  services: { [name: string]: Service }
  networks?: { [name: string]: { internal?: boolean } }
}

const reset = { tag: '!reset', resolve: () => [], collection: 'seq' as const }
const files = readdirSync(folder).filter((name) => /^compose.*\.yaml$/.test(name))
const services = files.flatMap((file) => {
  const { services: found, networks = {} } = parse(readFileSync(join(folder, file), 'utf8'), {
    merge: true,
    customTags: [reset],
  }) as File
  return Object.entries(found).map(([name, service]) => ({ file, name, service, networks }))
})
// What extends the receiver has what stands in compose.yaml.
const own = services.filter(({ service }) => service.extends === undefined)

describe('the compose files', () => {
  it('limit the memory of each service, of the receiver to 1 GiB', () => {
    expect(files).toHaveLength(3)
    for (const { file, name, service } of own) {
      expect(service.mem_limit, `${file}: ${name}`).toMatch(/^\d+[mg]$/)
      expect(service.security_opt, `${file}: ${name}`).toContain('no-new-privileges:true')
    }
    expect(own.find(({ name }) => name === 'receiver')!.service.mem_limit).toBe('1g')
  })

  it('name every image by an exact version', () => {
    for (const { file, name, service } of own)
      expect(service.image, `${file}: ${name}`).toMatch(
        /:-(madsci-events:local|[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*)\}$/,
      )
    expect(readFileSync(join(folder, 'Dockerfile'), 'utf8')).toMatch(/NODE_IMAGE=node:\d+\.\d+\.\d+-/)
  })

  it('let nobody but the receivers reach MongoDB', () => {
    const mongo = own.filter(({ name }) => name.startsWith('mongo'))
    expect(mongo).toHaveLength(4)
    for (const { service, networks } of mongo) {
      expect(service.ports).toBeUndefined()
      expect(service.networks).toEqual(['store'])
      expect(networks.store).toEqual({ internal: true })
    }
    const inStore = services
      .filter(({ service }) => service.networks?.includes('store'))
      .map(({ name }) => name)
    expect(inStore.filter((name) => !/^(mongo|receiver|replica-set)/.test(name))).toEqual([])
  })

  it('run nothing as root that goes on running', () => {
    for (const { file, name, service } of own)
      if (service.restart !== undefined) expect(service.user ?? '', `${file}: ${name}`).not.toMatch(/^0/)
  })

  it('ask each receiver of the whole stack for its counters', () => {
    const { scrape_configs } = parse(readFileSync(join(folder, 'prometheus.yaml'), 'utf8')) as {
      scrape_configs: { static_configs: { targets: string[] }[] }[]
    }
    const targets = scrape_configs.flatMap((job) => job.static_configs.flatMap((one) => one.targets))
    const receivers = services
      .filter(({ file, name }) => file === 'compose.full.yaml' && /^receiver-\d$/.test(name))
      .map(({ name }) => `${name}:8001`)
    expect(targets).toEqual(receivers)
  })

  it('give each receiver the settings of a file that need not be there', () => {
    const receiver = own.find(({ name }) => name === 'receiver')!
    expect(receiver.service.env_file).toEqual([{ path: 'receiver.env', required: false }])
    const known = Object.entries<Setting<unknown>>(settings).flatMap(([name, one]) => variablesOf(name, one))
    const sample = readFileSync(join(folder, 'receiver.env.sample'), 'utf8')
    const named = [...sample.matchAll(/^#(EVENT_[A-Z_]+)=/gm)].map(([, name]) => name!)
    expect(named.length).toBeGreaterThan(3)
    for (const name of named) expect(known).toContain(name)
  })

  it('let the balancer say whose request it is', () => {
    const { services: full } = parse(readFileSync(join(folder, 'compose.full.yaml'), 'utf8'), {
      merge: true,
      customTags: [reset],
    }) as File
    for (const name of ['receiver-1', 'receiver-2'])
      expect(JSON.parse(full[name]!.environment!.EVENT_TRUSTED_PROXIES!)).toContain('172.16.0.0/12')
    expect(readFileSync(join(folder, 'haproxy.cfg'), 'utf8')).toContain(
      'http-request set-header X-Forwarded-For %[src]',
    )
  })

  it('take their variables from a file of which there is a sample, as the README lists them', () => {
    const readme = readFileSync(join(folder, 'README.md'), 'utf8')
    const listed = [
      ...readme
        .slice(readme.indexOf('## Variables'))
        .matchAll(/^\| `([A-Z_]+)` \| (?:`([^`]*)`|not set) \|/gm),
    ].map(([row, name, fallback = '']) => [row, name, fallback])
    const sample = readFileSync(join(folder, '.env.sample'), 'utf8')
    expect([...sample.matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, ...pair]) => pair)).toEqual(
      listed.map(([, ...pair]) => pair),
    )
    const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
    const used = new Set([...text.matchAll(/\$\{([A-Z_]+):-/g)].map(([, name]) => name!))
    expect(listed.map(([, name]) => name!).sort()).toEqual(
      [...used, 'NODE_IMAGE'].sort().filter((name, place, list) => list.indexOf(name) === place),
    )
  })

  it('publish ports on this machine alone', () => {
    for (const { service } of services)
      for (const port of service.ports ?? []) expect(port).toMatch(/^\$\{BIND:-127\.0\.0\.1\}:/)
  })
})
