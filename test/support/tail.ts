import { setTimeout as sleep } from 'node:timers/promises'

/** A reader of /events/stream that comes back to where it was, as an EventSource does. */
export interface Tail {
  /** Of the events, in the order in which they came. */
  readonly ids: readonly string[]
  /** Events that are not what was sent. */
  readonly altered: readonly string[]
  /** Answers that neither were a stream nor told to come again. */
  readonly surprises: readonly string[]
  readonly connections: number
  /** Where it began. */
  readonly firstCursor: string
  stop(): Promise<void>
}

export interface TailOptions {
  /** Asked before each connection: the receiver may have moved. */
  url: () => string
  /** Where to begin; now if not given. */
  cursor?: string
  /** What was sent under this id, as JSON; undefined for what nobody sent. */
  sent: (id: string) => string | undefined
}

/** Settles when it is connected. */
export async function startTail({ url, sent, ...options }: TailOptions): Promise<Tail> {
  const ids: string[] = []
  const altered: string[] = []
  const surprises: string[] = []
  const stopping = new AbortController()
  let cursor = options.cursor
  let firstCursor = options.cursor ?? ''
  let connections = 0
  let beReady = () => {}
  const ready = new Promise<void>((resolve) => {
    beReady = resolve
  })

  /** Between two blank lines: comments, `retry`, and what counts here. */
  function take(block: string): void {
    let data: string | undefined
    for (const line of block.split('\n')) {
      if (line.startsWith('id: ')) cursor = line.slice(4)
      else if (line.startsWith('data: ')) data = line.slice(6)
    }
    if (data === undefined) return
    const id = /^\{"_id":"([^"]*)"/.exec(data)?.[1] ?? data
    ids.push(id)
    if (sent(id) !== data) altered.push(`${id}: ${data}`)
  }

  async function read(): Promise<void> {
    const answer = await fetch(`${url()}events/stream`, {
      headers: cursor === undefined ? {} : { 'last-event-id': cursor },
      signal: stopping.signal,
    })
    if (answer.status !== 200 || !answer.body) {
      const text = await answer.text()
      if (answer.status !== 503) surprises.push(`the stream: ${answer.status} ${text.slice(0, 300)}`)
      return
    }
    connections++
    let text = ''
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + chunk).split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) take(block)
      if (firstCursor === '') firstCursor = cursor ?? ''
      beReady()
    }
  }

  const running = (async () => {
    while (!stopping.signal.aborted) {
      // Refused, or cut: an EventSource comes back.
      await read().catch(() => {})
      if (!stopping.signal.aborted) await sleep(30 + Math.random() * 100)
    }
  })()
  await ready
  return {
    ids,
    altered,
    surprises,
    firstCursor,
    get connections() {
      return connections
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
