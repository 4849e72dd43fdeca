// Preloaded into a receiver (`node --import`), its threads included: each connection that prepares a COMMIT writes down how
// durable its commits are, in the file that SYNCHRONOUS_LOG names.
import { appendFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { isMainThread } from 'node:worker_threads'

const { prepare } = DatabaseSync.prototype
DatabaseSync.prototype.prepare = function (sql, ...rest) {
  if (sql === 'COMMIT') {
    const { synchronous } = prepare.call(this, 'PRAGMA synchronous').get() as { synchronous: number }
    appendFileSync(process.env.SYNCHRONOUS_LOG!, `${isMainThread ? 'main' : 'thread'} ${synchronous}\n`)
  }
  return prepare.call(this, sql, ...rest)
}
