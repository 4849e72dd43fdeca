import { EventError, fromDocument, fromTimestamp, isObject, parseJson } from '@madsci-events/sdk/event'
import { toFacts } from '../store/alert-store.ts'
import { yieldToOthers } from '../thread.ts'
import { answerCalls } from '../thread-call.ts'
import { createMachine } from './machine.ts'
import { createMatch } from './match.ts'
import { fromPlainRule } from './plain-rule.ts'
import type { Preview, PreviewTask, ToPreviewThread } from './preview.ts'
import { emptyState } from './state.ts'

/** The thread that runs rules over history, one after the other, each event at its own time. */
yieldToOthers()

const maxFirings = 200

const toMs = (timestamp: string) => Number((fromTimestamp(timestamp) ?? 0n) / 1_000_000n)

function createTrial({ rule: plain, windows, startTime, endTime }: PreviewTask) {
  let nowMs = toMs(startTime)
  const rule = fromPlainRule(plain)
  const match = createMatch([rule], {
    now: () => nowMs,
    onTimeout() {
      throw new EventError(
        'EVT_QUERY_TIMEOUT',
        'A regular expression of the rule needs backtracking and took too long',
      )
    },
  })!
  const machine = createMachine({ ...windows, rules: [rule] }, emptyState(nowMs))
  const preview: Preview = { events: 0, matched: 0, alerts: 0, messages: 0, firings: [], isCut: false }
  const opened = new Set<string>()

  function collect(): void {
    const { notices, alerts } = machine.take()
    for (const { id } of alerts) opened.add(id)
    for (const { atMs, kind, key, count, why, ids } of notices) {
      preview.messages++
      if (preview.firings.length < maxFirings)
        preview.firings.push({ at: new Date(atMs).toISOString(), kind, key, count, why, event_ids: ids })
    }
  }

  function add(text: string): void {
    const document = parseJson(text)
    if (!isObject(document)) return
    const event = fromDocument(document)
    preview.events++
    nowMs = Math.max(nowMs, toMs(event.event_timestamp))
    const matches = match([event])
    if (matches.length === 0) return
    if (matches.some(({ kind }) => kind === 'match')) preview.matched++
    machine.add({ atMs: nowMs, facts: toFacts(matches, () => event.event_id) })
  }

  return {
    add(texts: readonly string[]): void {
      texts.forEach(add)
      collect()
    },
    finish(): Preview {
      machine.advance(Math.min(toMs(endTime), Date.now()))
      collect()
      preview.alerts = opened.size
      preview.isCut = preview.messages > preview.firings.length
      return preview
    },
  }
}

let trial: ReturnType<typeof createTrial> | undefined

function run(message: ToPreviewThread): Preview | undefined {
  if (message.kind === 'begin') trial = createTrial(message.task)
  else if (message.kind === 'events') trial!.add(message.texts)
  else {
    const preview = trial!.finish()
    trial = undefined
    return preview
  }
  return undefined
}

answerCalls<ToPreviewThread, Preview | undefined>((message) => ({ answer: run(message) }))
