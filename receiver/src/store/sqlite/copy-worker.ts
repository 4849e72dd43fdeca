import { closeSync, fsyncSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { createPrivateFile } from '../../private-file.ts'
import { yieldToOthers } from '../../thread.ts'
import { openReadable } from './connection.ts'

/** The thread of a backup. */
export interface CopyWorkerData {
  path: string
  target: string
}

yieldToOthers()
try {
  const { path, target } = workerData as CopyWorkerData
  const database = openReadable(path)
  // SQLite writes into an empty file as into none, and the mode is ours.
  createPrivateFile(target)
  // One read transaction: what is committed meanwhile stays in the log of SQLite, and intake goes on.
  database.prepare('VACUUM INTO ?').run(target)
  database.close()
  const file = openSync(target, 'r+')
  fsyncSync(file)
  closeSync(file)
  parentPort!.postMessage({ events: check(target) })
} catch (error) {
  parentPort!.postMessage({ failed: (error as Error).message })
}

/** Reads the whole copy; gives the number of its events. */
function check(target: string): number {
  const copy = new DatabaseSync(target, { readOnly: true })
  try {
    const [{ quick_check: verdict }] = copy.prepare('PRAGMA quick_check').all() as [{ quick_check: string }]
    if (verdict !== 'ok') throw new Error(`the copy is damaged: ${verdict}`)
    return (copy.prepare('SELECT count(*) AS count FROM events').get() as { count: number }).count
  } finally {
    copy.close()
  }
}
