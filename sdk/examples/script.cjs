/**
 * Five lines of CommonJS that end by themselves, and deliver.
 *
 *     MADSCI_URL=http://localhost:8001 node script.cjs
 */
const { EventClient } = require('@madsci-events/sdk')

const events = new EventClient({ name: 'calibration' })
events.info('Calibrated', { offset_mm: 0.03 })
