// The black-box suite against any event manager: `node --conditions=madsci-events-source test/contract/main.ts http://localhost:8001/`.
// It wants an empty database, and leaves its events there. Exit code 1 when an answer is neither the original's nor in the table.
import { readGolden } from './golden.ts'
import { runSteps } from './rest.ts'
import { differences, findDifferences } from './rest-difference.ts'

const [url] = process.argv.slice(2)
if (!url || !URL.canParse(url)) {
  console.error('usage: node --conditions=madsci-events-source test/contract/main.ts URL')
  process.exit(2)
}
const answers = await runSteps(new URL(url).href)
const found = findDifferences(readGolden(), answers)
for (const text of found) console.log(text)
console.log(
  `${answers.length} steps, ${Object.keys(differences).length} known differences, ${found.length} others`,
)
process.exit(found.length > 0 ? 1 : 0)
