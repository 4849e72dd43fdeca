const hiddenMs = 1000
const againMs = 2000

/**
 * Events of GET /events/stream at this address, while the page is seen: a browser makes six connections to one host, and pages
 * in the background would hold them all. It goes on behind what it had, so that nothing is missed. Resolves to what ends it.
 */
export function followEvents(url: string, take: (data: string) => void): () => void {
  let place = ''
  let open: AbortController | undefined
  let timer = 0
  let isEnded = false

  const connect = async () => {
    clearTimeout(timer)
    if (open || isEnded || document.hidden) return
    const own = new AbortController()
    open = own
    try {
      const parameters = place === '' ? '' : `&last_event_id=${encodeURIComponent(place)}`
      const answer = await fetch(url + parameters, { signal: own.signal })
      // A place of which the receiver knows nothing, as that of a backup that was put back.
      if (!answer.ok) place = ''
      else if (answer.body) await read(answer.body)
    } catch {
      // Cut off, by us or on the way.
    }
    if (open !== own) return
    open = undefined
    timer = window.setTimeout(connect, againMs)
  }
  const read = async (body: ReadableStream<Uint8Array>) => {
    const reader = body
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .getReader()
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      let from = Math.max(0, text.length - 1)
      text += value
      for (let end = text.indexOf('\n\n', from); end >= 0; end = text.indexOf('\n\n', from)) {
        readBlock(text.slice(0, end))
        text = text.slice(end + 2)
        from = 0
      }
    }
  }
  const readBlock = (block: string) => {
    let data: string | undefined
    for (const line of block.split('\n')) {
      if (line.startsWith('data: ')) data = line.slice(6)
      else if (line.startsWith('id: ')) place = line.slice(4)
    }
    if (data !== undefined) take(data)
  }
  const change = () => {
    clearTimeout(timer)
    if (!document.hidden) void connect()
    else
      timer = window.setTimeout(() => {
        open?.abort()
        open = undefined
      }, hiddenMs)
  }
  document.addEventListener('visibilitychange', change)
  void connect()
  return () => {
    isEnded = true
    document.removeEventListener('visibilitychange', change)
    clearTimeout(timer)
    open?.abort()
  }
}
