/** Bodies of a 200 that say nothing about records: body, type, and what is to be shown of it. */
export const foreignReplies: [body: string | Uint8Array, type: string, shown: string][] = [
  [
    '<html><h1>Welcome</h1></html>',
    'text/html; charset=utf-8',
    'text/html; charset=utf-8: <html><h1>Welcome',
  ],
  ['{"error":"no such route"}', 'application/json', '{"error":"no such route"}'],
  ['{"status":"ok"}', 'application/json', 'status'],
  ['[]', 'application/json', '[]'],
  ['{"partialSuccess":7}', 'application/json', 'partialSuccess'],
  ['<html>', 'application/json', '<html>'],
  ['<html>', 'application/x-protobuf', '<html>'],
  [Buffer.from([0x0a, 0xff]), 'application/x-protobuf', 'application/x-protobuf'],
  ['ok', 'text/plain', 'text/plain: ok'],
  [`\u001b[2J${'x'.repeat(100_000)}`, 'text/plain', 'text/plain: [2Jxxx'],
]
