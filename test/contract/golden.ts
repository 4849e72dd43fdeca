import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Answer } from './rest.ts'

const path = join(import.meta.dirname, 'rest.golden.json')

/** What MADSci's own event manager 0.8.1 answered; test/peer/rest.long.test.ts asks it again. */
export const readGolden = (): Answer[] => JSON.parse(readFileSync(path, 'utf8'))

export const writeGolden = (answers: readonly Answer[]) =>
  writeFileSync(path, `[\n${answers.map((answer) => JSON.stringify(answer)).join(',\n')}\n]\n`)
