import { readdirSync, readFileSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer'
import { decodeRuns } from '../otlp/decode.ts'
import { readSettings } from '../setting.ts'
import { corruptName, listSegments } from './folder.ts'
import { parseSegment } from './leftover.ts'
import { isAlive, parseOwner } from './owner.ts'
import { toBatch } from './reader.ts'
import { refusedName } from './refused.ts'

/** A file of a spool, with events in it that are not delivered, or that could not be read. */
export interface SpoolSegment {
  path: string
  /** Who emitted them, and where they go. */
  name: string
  endpoint: string
  /**
   * `used`: its program runs. `left`: the next program of this name and endpoint sends them. `corrupt`: could not be read.
   * `refused`: the receiver refused them for good.
   */
  state: 'used' | 'left' | 'corrupt' | 'refused'
  /** Events that are not delivered. Of a file that was set aside, what could be read has been sent. */
  count: number
  bytes: number
  /** Something in it cannot be read. */
  isDamaged: boolean
  /** These events as OTLP/JSON `LogsData`, one text for at most 512 of them: what OpenTelemetry's file exporter writes. */
  lines(): Generator<string>
}

const maxLineEvents = 512
const maxLineBytes = 4 * 1024 * 1024
const maxPasses = 20

/**
 * What waits in a spool, oldest first, one program after another; without `spoolDir`, in the one that a client would use.
 * Looks, and touches nothing: programs that use the spool may run.
 *
 *     for await (const segment of readSpool()) for (const line of segment.lines()) console.log(line)
 */
export async function* readSpool(spoolDir = readSettings({}).spoolDir): AsyncGenerator<SpoolSegment> {
  for (const stream of listNames(spoolDir)) {
    const about = readAbout(join(spoolDir, stream))
    if (about === undefined) continue
    const seen = new Set<string>()
    // What is gone while we look was delivered, or has been taken over and has another name now: we look again.
    for (let pass = 0, isGone = true; isGone && pass < maxPasses; pass++) {
      isGone = false
      for (const { path, key, state } of listFiles(join(spoolDir, stream))) {
        if (seen.has(key)) continue
        const bytes = path === undefined ? undefined : await readFile(path).catch(() => undefined)
        if (path === undefined || bytes === undefined) {
          isGone = true
          continue
        }
        seen.add(key)
        const segment = toSegment(bytes, { path, state, ...about })
        if (segment.count > 0 || segment.isDamaged) yield segment
      }
    }
  }
}

type About = Pick<SpoolSegment, 'path' | 'name' | 'endpoint' | 'state'>

function toSegment(bytes: Buffer, about: About): SpoolSegment {
  const { records, isDamaged } =
    about.state === 'corrupt' ? { records: [], isDamaged: true } : parseSegment(bytes)
  return {
    ...about,
    count: records.length,
    bytes: bytes.length,
    isDamaged,
    *lines() {
      const limit = { maxCount: maxLineEvents, maxBytes: maxLineBytes, isOwn: false }
      for (let next = 0; next < records.length; ) {
        const { runs, count } = toBatch({ bytes, records, next }, limit)
        next += count
        yield Buffer.from(JsonLogsSerializer.serializeRequest(decodeRuns(runs))!).toString()
      }
    },
  }
}

interface Listed {
  /** Undefined when the folder that was just there is gone. */
  path: string | undefined
  /** It stays the same when the home gets another owner. */
  key: string
  state: SpoolSegment['state']
}

/** The files of a stream. */
function* listFiles(stream: string): Generator<Listed> {
  for (const name of listNames(stream)) {
    const home = join(stream, name)
    const [id, owner] = name.split('@')
    if (owner === undefined && name !== corruptName && name !== refusedName) continue
    const state = owner !== undefined ? stateOf(home, owner) : name === corruptName ? 'corrupt' : 'refused'
    for (const path of quietly(() => listSegments(home)) ?? [undefined])
      yield { path, key: `${id}/${path?.slice(home.length + 1)}`, state }
  }
}

function stateOf(home: string, text: string): 'used' | 'left' {
  const owner = parseOwner(text)
  const seenMs = quietly(() => statSync(home).mtimeMs) ?? 0
  return owner !== undefined && isAlive(owner, seenMs) ? 'used' : 'left'
}

function readAbout(stream: string): { name: string; endpoint: string } | undefined {
  return quietly(() => {
    const { name, endpoint } = JSON.parse(readFileSync(join(stream, 'stream.json'), 'utf8'))
    return { name: String(name), endpoint: String(endpoint) }
  })
}

const listNames = (folder: string): string[] => quietly(() => readdirSync(folder).sort()) ?? []

/** Whatever is not there, or no more, holds no events. */
function quietly<Result>(read: () => Result): Result | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
