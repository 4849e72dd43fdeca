import type { Answer, Target } from './target.ts'

/** What came of a rule: it holds, it does not, or it could not be tried. */
export type Outcome = { state: 'holds' | 'fails' | 'not tried'; why: string }

export interface Rule {
  /** R1 to R25 of the OTLP rules, or a word of our own. */
  name: string
  about: string
  run(trial: Trial): Promise<void>
}

export class Failure extends Error {}
export class NotTried extends Error {}

/** What a rule does its work with; each throws Failure for what must not be. */
export interface Trial {
  target: Target
  /** A text that stands in the records of this rule and nowhere else. */
  marker: string
  post(body: string | Uint8Array, headers?: { [name: string]: string }): Promise<Answer>
  /** In protobuf, which every endpoint takes. */
  send(...resourceLogs: object[]): Promise<Answer>
  /** The records of this rule, when there are so many. Throws NotTried where nothing is read back. */
  stored(count: number, marker?: string): Promise<string[]>
  expect(holds: boolean, why: string): void
}

/** Loki says 204 for a success. */
export const isTaken = ({ status }: Pick<Answer, 'status'>): boolean => status === 200 || status === 204

export const succeeded = (answer: Answer): boolean => isTaken(answer) && !answer.bytes.includes('rejected')
