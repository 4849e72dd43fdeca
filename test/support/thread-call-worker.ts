import { EventError } from '@madsci-events/sdk/event'
import { answerCalls } from '../../receiver/src/thread-call.ts'

export interface TestRequest {
  what: 'echo' | 'refuse' | 'bug' | 'die' | 'never' | 'count'
  text?: string
}

let made = 0
let isEnded = true

function* numbers() {
  isEnded = false
  try {
    for (made = 0; made < 1000; ) yield made++
  } finally {
    isEnded = true
  }
}

/** A thread for test/receiver/thread-call.test.ts. */
answerCalls<TestRequest, object, number>(async ({ what, text }) => {
  if (what === 'refuse') throw new EventError('EVT_INVALID', 'no', { detail: [text] })
  if (what === 'bug') throw new TypeError(text)
  if (what === 'die') process.exit(3)
  if (what === 'never') await new Promise(() => {})
  if (what === 'count') return { answer: {}, pieces: numbers() }
  return { answer: { text, made, isEnded } }
})
