import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseDotenv } from '../../receiver/src/config/dotenv.ts'
import { findPeer, spawnPeer } from '../support/peer.ts'

const script = `
import io, json, sys
from dotenv import dotenv_values
texts = json.load(open(sys.argv[1]))
read = [{k: v or "" for k, v in dotenv_values(stream=io.StringIO(text, newline="")).items()} for text in texts]
json.dump(read, open(sys.argv[2], "w"))
`

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: the grammar of these files
const pieces = [
  'A',
  'B_1',
  '=',
  ' ',
  '\t',
  '\n',
  '#',
  ' #',
  "'",
  '"',
  '\\',
  '\\n',
  "\\'",
  '$',
  '${A}',
  '${B_1:-x}',
  '${Q',
  '}',
  ':',
  'export ',
  'x',
  'é',
  'A=',
  'B_1="',
  "A='",
]
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: the grammar of these files

it("a file of variables is what MADSci's own reader makes of it", async (context) => {
  const peer = findPeer('MADSCI_PEER')
  if ('skip' in peer) return context.skip(peer.skip)
  const texts = fc.sample(
    fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((list) => list.join('')),
    { seed: 20_261_127, numRuns: 5000 },
  )
  const folder = await mkdtemp(join(tmpdir(), 'madsci-dotenv-'))
  try {
    const [code, given, read] = ['read.py', 'given.json', 'read.json'].map((name) => join(folder, name))
    await writeFile(code!, script)
    await writeFile(given!, JSON.stringify(texts))
    const reading = spawnPeer(peer.path, ['python', code!, given!, read!], { cwd: folder })
    await reading.exited
    const theirs = JSON.parse(await readFile(read!, 'utf8')) as object[]
    const differing = texts.flatMap((text, i) => {
      const ours = parseDotenv(text, process.env)
      return JSON.stringify(Object.entries(ours).sort()) === JSON.stringify(Object.entries(theirs[i]!).sort())
        ? []
        : [{ text, ours, theirs: theirs[i] }]
    })
    expect(differing.slice(0, 5).map((one) => JSON.stringify(one))).toEqual([])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
