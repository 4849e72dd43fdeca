import type { Db, Document } from 'mongodb'
import { metaName } from './collection-name.ts'
import { callLimit } from './connection.ts'

/** Reads what no crash of the database can take back. */
export interface Durability {
  /** For the commands of `read`: what the server must be told. */
  concern(): Promise<Document>
  /** What `read` gives is durable when this settles. `isKnown`: it is known to be so without asking. */
  read<T>(read: (concern: Document) => Promise<T>, isKnown?: (value: T) => boolean): Promise<T>
  /** True where there is but one mongod, whose reads see what is not flushed yet. */
  isAlone(): Promise<boolean>
}

interface Server {
  isAlone: boolean
  /** Changes when mongod is started anew. */
  life: string
}

/**
 * Replica sets and clusters read with the concern `majority`. A lone mongod has none: it is read, then made to flush, and
 * asked whether it is still the process that was read.
 */
export function createDurability(db: Db, collectionName: string): Durability {
  let server: Server | undefined

  async function ask(): Promise<Server> {
    const { setName, msg, topologyVersion } = await db.command({ hello: 1 }, callLimit())
    server = {
      isAlone: setName === undefined && msg !== 'isdbgrid',
      life: String(topologyVersion?.processId),
    }
    return server
  }

  /** It changes nothing, and waits for the log all the same. */
  async function flush(): Promise<void> {
    const nothing = { q: { _id: 'flush' }, u: { $set: { at: 0 } } }
    const writeConcern = { w: 1, j: true }
    await db.command({ update: metaName(collectionName), updates: [nothing], writeConcern }, callLimit())
  }

  async function concern(): Promise<Document> {
    const { isAlone } = server ?? (await ask())
    return isAlone ? {} : { readConcern: { level: 'majority' } }
  }

  return {
    concern,
    isAlone: async () => (server ?? (await ask())).isAlone,
    async read(read, isKnown = () => false) {
      for (;;) {
        const before = server ?? (await ask())
        const value = await read(await concern())
        if (!before.isAlone || isKnown(value)) return value
        await flush()
        if ((await ask()).life === before.life) return value
      }
    },
  }
}
