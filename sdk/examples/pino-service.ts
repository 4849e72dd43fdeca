/**
 * A service that has long been logging with pino. Its lines become events; the two marked lines are all that is new.
 *
 *     MADSCI_URL=http://localhost:8001 node pino-service.ts
 */
import { traceMixin } from '@madsci-events/sdk/pino'
import pino from 'pino'

const logger = pino({
  redact: ['password'],
  mixin: traceMixin, // new
  transport: { target: '@madsci-events/sdk/pino', options: { name: 'scheduler' } }, // new
})

const child = logger.child({ workflow_id: '01JJ4S0WNGEF5FQAZG5KDGJRBV' })
child.info({ plate: 'P1', password: 'secret' }, 'Scheduled')
child.error(new Error('No free slot'), 'Not scheduled')
child.info({ event_type: 'workflow_complete', event_data: { status: 'failed' } }, 'Given up')
