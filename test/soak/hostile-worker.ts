import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { yieldToOthers } from '../../receiver/src/thread.ts'
import { attacks } from '../support/hostile-attack.ts'

const { httpPort, grpcPort, endMs } = workerData as { httpPort: number; grpcPort: number; endMs: number }

// An attacker has a machine of its own. Here it has what the receiver and the honest clients leave.
yieldToOthers(15)

/** Answers by attack and status. */
const statuses = attacks.map(() => new Map<number, number>())
const steps = attacks.map(() => 0)
await Promise.all(
  attacks.map(async (attack, index) => {
    const target = { httpPort, grpcPort, localAddress: `127.0.0.${20 + index}` }
    while (Date.now() < endMs) {
      for (const { status } of await attack.step(target))
        statuses[index]!.set(status, (statuses[index]!.get(status) ?? 0) + 1)
      steps[index]!++
      await sleep(attack.pauseMs)
    }
  }),
)
parentPort!.postMessage(
  attacks.map(({ name, forbidden = [] }, index) => ({
    name,
    steps: steps[index]!,
    statuses: [...statuses[index]!],
    through: forbidden.reduce((sum, status) => sum + (statuses[index]!.get(status) ?? 0), 0),
  })),
)
