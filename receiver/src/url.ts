/** URLs as anybody may see them, and logins in URLs as programs can use them. */

export const hidden = '***'

// `http:\\h`, `http:/h` and `http:h` are read as `http://h`; a file name may have one slash of two.
const urlPattern = /\b(?:[a-z][a-z0-9+.-]{0,19}:[\\/]+|(?:https?|wss?|smtps?):)[^\s"'<>`]+/gi
// Long and mixed: a key, as chat rooms and telemetry services put it into paths.
const keyLike = /^(?=.*[0-9])(?=.*[a-z])[\w~.%=-]{20,}$/i

/**
 * The URL without its secrets: login, values of the query, fragment and path segments that look like keys are `***`. Text that is
 * no URL comes back as it is, but for what stands before an `@`.
 *
 *     https://u:p@host/v1/logs?token=x#y  →  https://***@host/v1/logs?token=***#***
 */
export function showUrl(url: URL | string): string {
  const text = typeof url === 'string' ? url : url.href
  const [, scheme = '', rest = ''] =
    /^([a-z][a-z0-9+.-]*:[\\/]+|(?:https?|wss?|smtps?):)?(.*)$/is.exec(text) ?? []
  const loginEnd = findLoginEnd(text, rest)
  const bare = rest.slice(loginEnd + 1)
  const [, place = '', query, fragment] = /^([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(bare) ?? []
  const path = place
    .split('/')
    .map((segment, index) => (index > 0 && keyLike.test(segment) ? hidden : segment))
    .join('/')
  const values = query
    ?.split('&')
    .map((pair) => (pair.includes('=') ? `${pair.slice(0, pair.indexOf('='))}=${hidden}` : hidden))
  return [
    scheme,
    loginEnd < 0 ? '' : `${hidden}@`,
    path,
    values === undefined || query === '' ? '' : `?${values.join('&')}`,
    fragment === undefined || fragment === '' ? '' : `#${hidden}`,
  ].join('')
}

/** The index of the `@` after the login; -1 when there is none. */
function findLoginEnd(text: string, rest: string): number {
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  const isTrusted = parsed && (text.includes('://') || /^(https?|wss?):$/.test(parsed.protocol))
  // Passwords may hold anything, also what ends a login for a parser. Where that sees none, what follows `?` and `#` is hidden anyway.
  const hasNone = isTrusted && parsed.username === '' && parsed.password === ''
  const place = rest.split(/[?#]/, 1)[0]!
  // `user/:password#@host` is a path to a parser, and may be a login to whoever wrote it.
  const slash = place.search(/[\\/]/)
  const isPath = hasNone && (slash < 0 || !place.includes(':', slash))
  return (isPath ? place : rest).lastIndexOf('@')
}

/** A text with every URL in it as `showUrl` shows it. */
export const showUrlsIn = (text: string): string => text.replace(urlPattern, showUrl)

// Shorter ones are words such as `Basic`, and may be part of any sentence.
const leastSecret = 6

/** What another program says, without secrets that it was sent and may repeat, and without those in URLs. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= leastSecret)
    .sort((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, hidden), showUrlsIn(text))
}

/** JSON with every URL in its texts as `showUrl` shows it. */
export function showUrlsInJson(json: string): string {
  // Nearly always there is none to hide.
  if (showUrlsIn(json) === json && !json.includes('\\')) return json
  return JSON.stringify(
    JSON.parse(json, (_, value) => (typeof value === 'string' ? showUrlsIn(value) : value)),
  )
}

/** The URL without its login, and the login as an `authorization` header: `fetch` refuses the one in the URL. */
export function splitLogin(url: URL): { url: URL; headers: { authorization?: string } } {
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  if (url.username === '' && url.password === '') return { url: bare, headers: {} }
  const login = `${decode(url.username)}:${decode(url.password)}`
  return { url: bare, headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` } }
}

/** A percent sign that begins no code stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Whether it is an HTTP URL, as one to which telemetry can be sent. */
export const isHttpEndpoint = (text: string | undefined): text is string =>
  text !== undefined && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
