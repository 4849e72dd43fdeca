import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { type Mongod, startMongod } from './mongod.ts'

export interface ReplicaSet {
  readonly url: string
  /** The primary gives up its place; settles when there is another one. */
  stepDown(): Promise<void>
  /** SIGKILL; settles when there is another primary. Gives the one that was killed. */
  killPrimary(): Promise<Mongod>
  /** SIGSTOP: it is cut off from all, and does not know it; settles when there is another primary. The function lets it go on. */
  stopPrimary(): Promise<() => void>
  stop(): Promise<void>
}

/** Three mongod of our own, which elect within seconds. Needs a binary. */
export async function startReplicaSet(): Promise<ReplicaSet> {
  const members: Mongod[] = []
  const hostOf = ({ url }: Mongod) => new URL(url).host
  for (let i = 0; i < 3; i++) members.push(await startMongod({ member: true }))

  /** On the member itself; settles with undefined when it does not answer. */
  async function command(member: Mongod, body: object): Promise<{ [name: string]: unknown } | undefined> {
    const client = new MongoClient(`mongodb://${hostOf(member)}/?directConnection=true`, {
      serverSelectionTimeoutMS: 500,
    })
    try {
      return await client.db('admin').command(body)
    } catch {
      return undefined
    } finally {
      await client.close()
    }
  }

  async function findPrimary(): Promise<Mongod> {
    const deadline = Date.now() + 60_000
    for (;;) {
      for (const member of members)
        if ((await command(member, { hello: 1 }))?.isWritablePrimary) return member
      if (Date.now() > deadline) throw new Error('the replica set has no primary')
      await sleep(50)
    }
  }

  const config = {
    _id: 'rs0',
    members: members.map((member, _id) => ({ _id, host: hostOf(member) })),
    settings: { electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500 },
  }
  await command(members[0]!, { replSetInitiate: config })
  await findPrimary()
  return {
    url: `mongodb://${members.map(hostOf).join(',')}/?replicaSet=rs0`,
    async stepDown() {
      const primary = await findPrimary()
      await command(primary, { replSetStepDown: 20, secondaryCatchUpPeriodSecs: 5, force: true })
      await findPrimary()
    },
    async killPrimary() {
      const primary = await findPrimary()
      await primary.kill()
      await findPrimary()
      return primary
    },
    async stopPrimary() {
      const { pid } = await findPrimary()
      process.kill(pid!, 'SIGSTOP')
      await findPrimary()
      return () => void process.kill(pid!, 'SIGCONT')
    },
    async stop() {
      await Promise.all(members.map((member) => member.stop()))
    },
  }
}
