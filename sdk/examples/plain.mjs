/**
 * A program that knows nothing of events.
 *
 *     MADSCI_URL=http://localhost:8001 MADSCI_REGISTER=errors,logs,console \
 *       node --import @madsci-events/sdk/register plain.mjs
 */
console.log('Door open')
console.error(new Error('Door jammed'))
