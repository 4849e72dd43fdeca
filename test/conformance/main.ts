// Tries an OTLP logs endpoint: npm run conformance -- http://127.0.0.1:4318/v1/logs [--grpc=URL] [--read=KIND:PLACE]
// Exit code 1 when a rule fails.
import { parseArgs } from 'node:util'
import { toTable, tryAll } from './kit.ts'
import { toFind } from './target.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { grpc: { type: 'string' }, read: { type: 'string' } },
})
const [url] = positionals
if (url === undefined) {
  console.error(
    'usage: npm run conformance -- URL [--grpc=URL] [--read=madsci:URL|loki:URL|victorialogs:URL|file:PATH]',
  )
  process.exit(2)
}
const lines = await tryAll({
  url,
  grpcUrl: values.grpc,
  find: values.read === undefined ? undefined : toFind(values.read),
})
console.log(toTable([{ name: new URL(url).host, lines }]))
process.exitCode = lines.some(({ outcome }) => outcome.state === 'fails') ? 1 : 0
