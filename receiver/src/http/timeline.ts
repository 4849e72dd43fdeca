import compress from '@fastify/compress'
import type { FastifyInstance } from 'fastify'
import type { Utilization } from '../utilization/thread.ts'
import { timelineSchemas } from './timeline-schema.ts'
import { sendReport } from './utilization.ts'

/** The exact reports of utilization: GET /utilization/timeline and its kin. Their engine checks the parameters. */
export function registerTimeline(app: FastifyInstance, { utilization }: { utilization: Utilization }): void {
  for (const [report, schema] of Object.entries(timelineSchemas))
    app.get(`/utilization/${report}`, { schema }, async (request, reply) => {
      const parameters = lastOfEach(request.query as { [name: string]: string | string[] | undefined })
      return sendReport(reply, await utilization.ask({ report, parameters }))
    })
}

/** Of equal names the last counts, as in the original. */
function lastOfEach(query: { [name: string]: string | string[] | undefined }): { [name: string]: string } {
  const found: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(query)) {
    const last = Array.isArray(value) ? value.at(-1) : value
    if (last !== undefined) found[name] = last
  }
  return found
}

/** GET /data/timeline: the timeline in few characters, for the page that draws it. */
export function registerTimelineData(
  app: FastifyInstance,
  { utilization }: { utilization: Utilization },
): void {
  void app.register(async (scope) => {
    await scope.register(compress, { encodings: ['gzip'] })
    scope.get('/data/timeline', { schema: { hide: true } }, async (request, reply) => {
      const parameters = lastOfEach(request.query as { [name: string]: string | string[] | undefined })
      return sendReport(reply, await utilization.ask({ report: 'columns', parameters }))
    })
  })
}
