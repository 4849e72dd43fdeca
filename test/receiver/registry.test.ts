import { mkdir, mkdtemp, readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isUlid } from '@madsci-events/sdk/event'
import { beforeEach, describe, expect, it } from 'vitest'
import { findMadsciFolder, resolveDataPath } from '../../receiver/src/folder.ts'
import { silentLog } from '../../receiver/src/log.ts'
import { resolveManagerId } from '../../receiver/src/registry.ts'

let root: string
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'madsci-events-')))
})

const resolve = (name = 'EventManager', start = root, log = silentLog) =>
  resolveManagerId({ name, start, log })

describe('the folder that the programs of a laboratory share', () => {
  it('is the nearest .madsci upwards, else beside the nearest .git', async () => {
    const below = join(root, 'a/b')
    await mkdir(below, { recursive: true })
    expect(findMadsciFolder(below)).toBeUndefined()
    expect(resolveDataPath('.madsci/backups', below, below)).toBe(join(below, '.madsci/backups'))
    await mkdir(join(root, 'a/.git'))
    expect(findMadsciFolder(below)).toBe(join(root, 'a/.madsci'))
    await mkdir(join(root, '.madsci'))
    expect(findMadsciFolder(below)).toBe(join(root, '.madsci'))
    expect(resolveDataPath('.madsci/backups', below, below)).toBe(join(root, '.madsci/backups'))
    expect(resolveDataPath('backups', below, below)).toBe(join(below, 'backups'))
    expect(resolveDataPath('/backups', below, below)).toBe('/backups')
  })
})

describe('the manager id', () => {
  it('is the same at each start, for each name its own', async () => {
    const id = await resolve()
    expect(isUlid(id)).toBe(true)
    expect(await resolve()).toBe(id)
    expect(await resolve('Other')).not.toBe(id)
    expect(await resolve()).toBe(id)
    const registry = JSON.parse(await readFile(join(root, '.madsci/registry.json'), 'utf8'))
    expect(registry).toMatchObject({
      version: 1,
      entries: { EventManager: { id, component_type: 'manager' } },
    })
  })

  it('is one for all receivers that start together, whatever the registry was, and one that died in it', async () => {
    const together = async (name: string) =>
      new Set(await Promise.all(Array.from({ length: 12 }, () => resolve(name))))
    await mkdir(join(root, '.madsci'))
    expect((await together('EventManager')).size).toBe(1)
    expect((await together('Other')).size).toBe(1)
    await writeFile(join(root, '.madsci/registry.json.entering'), '')
    expect((await together('Third')).size).toBe(1)
    expect(await readdir(join(root, '.madsci'))).toEqual(['registry.json'])
  })

  it("is the one that MADSci's own manager had, also from a folder below, and its lock does not matter", async () => {
    await mkdir(join(root, '.madsci'))
    const id = '01JJ4S0WNGEF5FQAZG5KDGJRBV'
    const lock = { holder_pid: 1, holder_host: 'x', expires_at: '2099-01-01T00:00:00Z' }
    const registry = { version: 1, entries: { EventManager: { id, component_type: 'manager', lock } } }
    await writeFile(join(root, '.madsci/registry.json'), JSON.stringify(registry))
    await mkdir(join(root, 'below'))
    expect(await resolve('EventManager', join(root, 'below'))).toBe(id)
    await resolve('Other', join(root, 'below'))
    const after = JSON.parse(await readFile(join(root, '.madsci/registry.json'), 'utf8'))
    expect(after.entries.EventManager).toEqual(registry.entries.EventManager)
  })

  it('is a new one, with a warning, when the registry cannot be used', async () => {
    await mkdir(join(root, '.madsci'))
    await writeFile(join(root, '.madsci/registry.json'), '[')
    const warnings: string[] = []
    const log = { ...silentLog, warn: (_fields: unknown, text: string) => void warnings.push(text) }
    expect(isUlid(await resolve('EventManager', root, log as typeof silentLog))).toBe(true)
    expect(warnings).toEqual([expect.stringContaining('registry')])
    expect(await readFile(join(root, '.madsci/registry.json'), 'utf8')).toBe('[')
  })
})
