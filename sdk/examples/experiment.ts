/**
 * A script that runs an experiment: one workflow of two steps, each an action of the node in lab-node.ts.
 *
 *     MADSCI_URL=http://localhost:8001 node experiment.ts http://localhost:2000
 */
import { EventClient } from '@madsci-events/sdk'

const nodeUrl = process.argv[2] ?? 'http://localhost:2000'
await using events = new EventClient({ name: 'growth-experiment' })

async function aspirate(volume_ul: number): Promise<void> {
  const body = JSON.stringify({ volume_ul })
  const response = await fetch(nodeUrl, { method: 'POST', headers: events.headers(), body })
  if (!response.ok) throw new Error(`The node answers ${response.status}: ${await response.text()}`)
}

await events
  .experiment('growth', () =>
    events.workflow('assay', { author: 'ada' }, async () => {
      await events.step('small', () => aspirate(50))
      await events.step('too large', () => aspirate(5000))
    }),
  )
  .catch((error: Error) => console.log(error.message))
