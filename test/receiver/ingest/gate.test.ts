import { describe, expect, it } from 'vitest'
import { createGate } from '../../../receiver/src/ingest/gate.ts'

describe('gate', () => {
  it('A body is refused before it is read, with a retry', () => {
    const gate = createGate({ maxBytes: 100 })
    gate.enter(80)
    expect(() => gate.enter(30)).toThrow(
      expect.objectContaining({ code: 'EVT_OVERLOAD', retry: true, status: 429 }),
    )
    expect(gate.inFlightBytes).toBe(80)
  })

  it('One body always gets in when nothing else is under way, however large', () => {
    const gate = createGate({ maxBytes: 100 })
    const ticket = gate.enter(500)
    ticket.grow(500)
    expect(gate.inFlightBytes).toBe(1000)
    ticket.release()
    gate.enter(10)
  })

  it('Every byte that entered leaves, also on failure and when released twice', () => {
    const gate = createGate({ maxBytes: 100 })
    const one = gate.enter(60)
    const two = gate.enter(40)
    expect(() => one.grow(10)).toThrow(expect.objectContaining({ code: 'EVT_OVERLOAD' }))
    one.release()
    one.release()
    expect(gate.inFlightBytes).toBe(40)
    two.release()
    expect(gate.inFlightBytes).toBe(0)
  })

  it('answers EVT_CLOSING once closed, and lets those inside finish', () => {
    const gate = createGate({ maxBytes: 100 })
    const ticket = gate.enter(10)
    gate.close()
    ticket.grow(10)
    expect(() => gate.enter(1)).toThrow(
      expect.objectContaining({ code: 'EVT_CLOSING', retry: true, status: 503 }),
    )
  })
})
