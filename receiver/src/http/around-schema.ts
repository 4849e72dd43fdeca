import { z } from 'zod'
import { schemas } from './schema.ts'

const { response } = schemas.getEvents
export const maxAround = 1000

export const aroundSchema = {
  operationId: 'get_events_around',
  summary: 'An event among those just before and after it, oldest first',
  params: z.object({ event_id: z.string().describe('the id of the event') }),
  querystring: z.object({
    by: z
      .string()
      .default('time')
      .describe(
        'time: all events; trace, node, workflow, experiment, workcell, step, action, campaign, user, manager, lab: those of the same one; 422 when the event is of none',
      ),
    before: z.int().min(0).max(maxAround).default(10).describe('at most so many older ones'),
    after: z.int().min(0).max(maxAround).default(10).describe('at most so many newer ones'),
  }),
  response: {
    200: response[200],
    404: schemas.getEvent.response[404],
    422: response[422],
    503: response[503],
  },
}
