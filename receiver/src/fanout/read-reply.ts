import { maxReplyBytes } from '@madsci-events/sdk/event'

/** The body of an answer; undefined when it is longer than a reply of OTLP can be: the rest is not read. */
export async function readReply(answer: Response): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body ?? []) {
    size += chunk.length
    // Leaving the loop ends the request.
    if (size > maxReplyBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
