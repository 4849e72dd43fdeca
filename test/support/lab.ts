import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Peer, spawnPeer, waitForPort } from './peer.ts'
import { findFreePorts } from './process.ts'
import { type FoundPython, findPython } from './python.ts'

const version = '0.8.1'
const programs = [
  'squid',
  'experiment_manager',
  'resource_manager',
  'data_manager',
  'location_manager',
  'workcell_manager',
  'node_module',
  'experiment_application',
  'client',
  'common',
]

/** A Python with all of MADSci's programs. */
export function findMadsci(): FoundPython {
  return findPython({
    name: `madsci-lab-${version}`,
    packages: [
      ...programs.map((name) => `madsci.${name}==${version}`),
      // With newer ones it neither sends an event nor opens its database.
      'pydantic<2.14',
      'SQLAlchemy<2.1',
    ],
    check: 'import madsci.squid, madsci.workcell_manager, madsci.node_module, madsci.experiment_application',
  })
}

/** What a node did, by its own clock: seconds since 1970. */
export interface ClockLine {
  node: string
  action: string
  what: 'begin' | 'succeeded' | 'failed' | 'cancelled'
  at: number
}

export interface Workflow {
  name: string
  /** It is cancelled a second after an action began on this node. */
  cancel_when?: string
  steps: { node: string; action: 'move' | 'drop' | 'hold'; args: { seconds: number } }[]
}

export interface Lab {
  clock(): ClockLine[]
  /** Settles when the experiment is over; throws with its output when it fails. */
  runExperiment(workcell: number, name: string, user: string, workflows: Workflow[]): Promise<void>
  /** SIGKILL; gives the second at which it came. */
  kill(node: string): number
  stop(): Promise<void>
}

interface LabOptions {
  python: string
  /** The program that starts one manager of MADSci. */
  manager: string
  folder: string
  eventUrl: string
  /** Names of nodes, for each workcell. */
  workcells: readonly (readonly string[])[]
}

/** A laboratory of MADSci's own programs: five managers, workcells, nodes, each a process. */
export async function startLab({ python, manager, folder, eventUrl, workcells }: LabOptions): Promise<Lab> {
  const clockFile = join(folder, 'clock.ndjson')
  const peers: Peer[] = []
  const nodes = new Map<string, Peer>()
  const managers = ['lab', 'experiment', 'resource', 'data', 'location'] as const
  const ports = await findFreePorts(managers.length + workcells.length + workcells.flat().length)
  const urlOf = (port: number) => `http://127.0.0.1:${port}/`
  const env: { [name: string]: string } = {
    HOME: folder,
    CLOCK: clockFile,
    MADSCI_SETTINGS_DIR: folder,
    EVENT_SERVER_URL: eventUrl,
    OTEL_SDK_DISABLED: 'true',
  }
  const portOf = new Map<string, number>()
  for (const name of managers) {
    const port = ports.pop()!
    portOf.set(name, port)
    env[`${name.toUpperCase()}_SERVER_URL`] = urlOf(port)
  }
  await mkdir(join(folder, '.madsci'))
  await writeFile(clockFile, '')

  function start(args: string[], more: { [name: string]: string } = {}): Peer {
    const peer = spawnPeer(python, args, {
      cwd: more.MADSCI_SETTINGS_DIR ?? folder,
      env: { ...env, ...more },
    })
    peers.push(peer)
    return peer
  }
  const stop = async () => void (await Promise.all(peers.map((peer) => peer.stop())))

  try {
    const started = managers.map((name) => [portOf.get(name)!, start([manager, name])] as const)
    for (const [port, peer] of started) await waitForPort(port, peer, 120_000)
    const waiting: (readonly [number, Peer])[] = []
    for (const [index, names] of workcells.entries()) {
      const own = join(folder, `workcell-${index}`)
      await mkdir(join(own, '.madsci'), { recursive: true })
      const urls: string[] = []
      for (const name of names) {
        const port = ports.pop()!
        const url = urlOf(port)
        urls.push(`  ${name}: ${url}`)
        const peer = start([join(import.meta.dirname, 'lab/node.py')], {
          NODE_NAME: name,
          NODE_MODULE_NAME: name,
          NODE_URL: url,
        })
        nodes.set(name, peer)
        waiting.push([port, peer])
      }
      const settings = [
        'workcell_node_update_interval: 0.5',
        'workcell_scheduler_update_interval: 0.5',
        'workcell_nodes:',
        ...urls,
      ]
      await writeFile(join(own, 'settings.yaml'), `${settings.join('\n')}\n`)
      const port = ports.pop()!
      portOf.set(`workcell ${index}`, port)
      waiting.push([
        port,
        start([manager, 'workcell'], { MADSCI_SETTINGS_DIR: own, WORKCELL_SERVER_URL: urlOf(port) }),
      ])
    }
    for (const [port, peer] of waiting) await waitForPort(port, peer, 120_000)
  } catch (error) {
    await stop()
    throw error
  }

  return {
    clock: () =>
      readFileSync(clockFile, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as ClockLine),
    async runExperiment(workcell, name, user, workflows) {
      const peer = start(
        [join(import.meta.dirname, 'lab/experiment.py'), name, user, JSON.stringify(workflows)],
        { WORKCELL_SERVER_URL: urlOf(portOf.get(`workcell ${workcell}`)!) },
      )
      await peer.exited
      if (!peer.output.includes('\nDONE')) throw new Error(`experiment ${name}:\n${peer.output.slice(-3000)}`)
    },
    kill(node) {
      process.kill(nodes.get(node)!.pid, 'SIGKILL')
      return Date.now() / 1000
    },
    stop,
  }
}

/** Settles with what `find` finds. */
export async function waitForClock<T>(lab: Lab, find: (lines: ClockLine[]) => T | undefined): Promise<T> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(50)) {
    const found = find(lab.clock())
    if (found !== undefined) return found
  }
  throw new Error(`the laboratory did not come so far: ${JSON.stringify(lab.clock())}`)
}

export interface Tee {
  readonly url: string
  close(): void
}

/** Hands every request on to all, and answers what the first one answers. */
export async function openTee(urls: readonly string[]): Promise<Tee> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const hasBody = request.method !== 'GET' && request.method !== 'HEAD'
    try {
      const [first] = await Promise.all(
        urls.map((url) =>
          fetch(new URL(request.url!, url), {
            method: request.method!,
            headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
            ...(hasBody && { body: Buffer.concat(chunks) }),
          }).then(async (answer) => ({
            status: answer.status,
            body: Buffer.from(await answer.arrayBuffer()),
          })),
        ),
      )
      response.writeHead(first!.status, { 'content-type': 'application/json' }).end(first!.body)
    } catch {
      response.writeHead(503).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

export function findManager(): { path: string } | { skip: string } {
  const path = process.env.MADSCI_LAB
  if (path === undefined) return { skip: 'MADSCI_LAB is not set' }
  return existsSync(path) ? { path } : { skip: `there is no ${path}` }
}
