// pino 9 loads no TypeScript; what is published is JavaScript.
export { default } from '@madsci-events/sdk/pino'
