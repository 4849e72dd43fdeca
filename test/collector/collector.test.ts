import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findPeer, spawnPeer } from '../support/peer.ts'

const folder = join(import.meta.dirname, '../../collector')

describe.for(['agent.yaml', 'gateway.yaml'])('collector/%s', (file) => {
  const text = readFileSync(join(folder, file), 'utf8')

  it('names each variable that it reads at its top, with the default', () => {
    const used = [...text.matchAll(/\$\{env:(\w+):-([^}]*)\}/g)].map(
      ([, name, fallback]) => `${name} ${fallback}`,
    )
    const told = [...text.matchAll(/^# {3}([A-Z_]+) .*? {2,}(\S+)$/gm)].map(
      ([, name, fallback]) => `${name} ${fallback}`,
    )
    expect(told.sort()).toEqual([...new Set(used)].sort())
    expect(text).not.toMatch(/\$\{env:\w+\}/)
  })

  it('is accepted by the Collector', async (context) => {
    const otelcol = findPeer('OTELCOL_BINARY')
    if ('skip' in otelcol) return context.skip(otelcol.skip)
    const peer = spawnPeer(otelcol.path, ['validate', '--config', join(folder, file)])
    expect(await peer.exited, peer.output).toBe(0)
  })
})
