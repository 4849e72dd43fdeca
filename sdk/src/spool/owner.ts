import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { isMainThread, threadId } from 'node:worker_threads'

/**
 * Who owns a folder, and is it still there? There is no lock that a program without native code can hold so that it dies
 * with the process. Instead the owner's process is named in the folder's name, closely enough that a process id that was
 * given out again is another name: machine, boot, process namespace, process id, start time, and the same of a worker, which
 * may be terminated while its process lives.
 */
export interface Owner {
  /** Of host name and, if told, boot; two containers of one machine share the boot. */
  host: string
  boot: string
  /** Process ids mean something within it only. */
  namespace: string
  pid: number
  /** In ticks since the boot, '0' where the system does not tell. */
  started: string
  /** Of a worker: the id of its thread, of the system's where that is told, and when it started. */
  thread?: { id: number; started: string }
}

/** Without a sign of life for so long, the owner of another machine or container is taken for dead. */
export const staleMs = 30_000
export const heartbeatMs = 5000

const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8)
const readText = (path: string) => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

let self: Owner | undefined

export function thisOwner(): Owner {
  if (self?.pid === process.pid) return self
  const boot = readText('/proc/sys/kernel/random/boot_id')
  let namespace = '0'
  try {
    namespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '') || '0'
  } catch {
    // not Linux: process ids are the machine's
  }
  self = {
    host: hash(hostname()),
    boot: boot === '' ? '0' : hash(boot),
    namespace,
    pid: process.pid,
    started: startOf(process.pid)?.started ?? '0',
    ...(!isMainThread && { thread: thisThread() }),
  }
  return self
}

/** The system's own id of this thread, or Node's with no start, where the system does not tell. */
function thisThread(): { id: number; started: string } {
  try {
    const [pid, , id] = readlinkSync('/proc/thread-self').split('/')
    const started = startOf(`${pid}/task/${id}`)?.started
    if (started !== undefined) return { id: Number(id), started }
  } catch {
    // not Linux
  }
  return { id: threadId, started: '0' }
}

/** The part of a folder's name behind the `@`. */
export function toOwnerText(owner: Owner): string {
  const { host, boot, namespace, pid, started, thread } = owner
  const text = `${host}-${boot}-${namespace}-${pid}-${started}`
  return thread === undefined ? text : `${text}-${thread.id}-${thread.started}`
}

export function parseOwner(text: string): Owner | undefined {
  const match = /^([0-9a-f]{8})-([0-9a-f]+)-(\d+)-(\d+)-(\d+)(?:-(\d+)-(\d+))?$/.exec(text)
  if (!match) return undefined
  const [, host, boot, namespace, pid, started, id, since] = match
  const owner = { host: host!, boot: boot!, namespace: namespace!, pid: Number(pid), started: started! }
  return id === undefined ? owner : { ...owner, thread: { id: Number(id), started: since! } }
}

/** `seenMs` is its last sign of life: the time of its folder. */
export function isAlive(owner: Owner, seenMs: number, nowMs = Date.now()): boolean {
  const me = thisOwner()
  const isFresh = Math.abs(nowMs - seenMs) < staleMs
  const isSameKernel = owner.boot === me.boot && (me.boot !== '0' || owner.host === me.host)
  // The machine has been started anew since: nothing of then is alive.
  if (!isSameKernel && owner.host === me.host) return false
  if (!isSameKernel || owner.namespace !== me.namespace) return isFresh
  const process = startOf(owner.pid)
  if (process !== undefined) {
    const isSame = process.isRunning && process.started === owner.started
    return isSame && (owner.thread === undefined || isThreadAlive(owner.pid, owner.thread, isFresh))
  }
  if (!isThere(owner.pid)) return false
  return owner.started === '0' && isFresh
}

/** Whether the owner, none of a home that was left, is gone, and was for so long. */
export function isAbandoned(owner: Owner | undefined, seenMs: number, idleMs: number): boolean {
  if (idleMs > 0 && Date.now() - seenMs < idleMs) return false
  return owner === undefined || !isAlive(owner, seenMs)
}

function isThreadAlive(pid: number, thread: { id: number; started: string }, isFresh: boolean): boolean {
  if (thread.started === '0') return isFresh
  const found = startOf(`${pid}/task/${thread.id}`)
  return found?.isRunning === true && found.started === thread.started
}

/** From /proc; undefined when it does not tell. */
function startOf(pid: number | string): { started: string; isRunning: boolean } | undefined {
  const text = readText(`/proc/${pid}/stat`)
  if (text === '') return undefined
  // The name of the program, in parentheses, may hold anything.
  const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { started: fields[18] ?? '0', isRunning: state !== 'Z' && state !== 'X' }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
