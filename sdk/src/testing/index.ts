export type { Matched, Selector } from './match.ts'
export {
  type Failure,
  startTestReceiver,
  type TestReceiver,
  type TestReceiverOptions,
  type WaitForOptions,
} from './receiver.ts'
