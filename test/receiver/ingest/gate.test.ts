import { describe, expect, it } from 'vitest'
import { createGate } from '../../../receiver/src/ingest/gate.ts'

/** A body that has come whole. */
function enterWhole(gate: ReturnType<typeof createGate>, bytes: number, client = 'a') {
  const ticket = gate.enter(bytes, client)
  ticket.grow(bytes)
  return ticket
}

describe('gate', () => {
  it('A body is refused before it is read, with a retry', () => {
    const gate = createGate({ maxBytes: 100 })
    enterWhole(gate, 80)
    expect(() => gate.enter(30, 'a')).toThrow(
      expect.objectContaining({ code: 'EVT_OVERLOAD', retry: true, status: 429 }),
    )
    expect(gate.inFlightBytes).toBe(80)
  })

  it('One body always gets in when nothing else is under way, however large', () => {
    const gate = createGate({ maxBytes: 100 })
    const ticket = enterWhole(gate, 500)
    ticket.grow(500)
    expect(gate.inFlightBytes).toBe(1000)
    ticket.release()
    gate.enter(10, 'a')
  })

  it('Bytes that are announced and do not come take no room', () => {
    const gate = createGate({ maxBytes: 100 })
    for (let i = 0; i < 50; i++) gate.enter(100, 'a')
    expect(gate.inFlightBytes).toBe(0)
    enterWhole(gate, 100)
    expect(() => gate.enter(1, 'a')).toThrow(expect.objectContaining({ code: 'EVT_OVERLOAD' }))
  })

  it('Every byte that entered leaves, also on failure and when released twice', () => {
    const gate = createGate({ maxBytes: 100 })
    const one = enterWhole(gate, 60)
    const two = enterWhole(gate, 40)
    expect(() => one.grow(10)).toThrow(expect.objectContaining({ code: 'EVT_OVERLOAD' }))
    one.release()
    one.release()
    expect(gate.inFlightBytes).toBe(40)
    two.release()
    expect(gate.inFlightBytes).toBe(0)
  })

  it('Bodies of one client are unpacked in the order in which they came whole, so many at once as fit; one always is', async () => {
    const gate = createGate({ maxBytes: 1000, maxUnpackedBytes: 100 })
    const begun: string[] = []
    const enter = (name: string, bytes: number) => {
      const ticket = enterWhole(gate, bytes)
      const turn = ticket.turn()
      if (turn) void turn.then(() => begun.push(name))
      else begun.push(name)
      return ticket
    }
    const large = enter('large', 300)
    const first = enter('first', 60)
    const second = enter('second', 60)
    const small = enter('small', 10)
    await Promise.resolve()
    expect(begun).toEqual(['large'])
    large.release()
    await Promise.resolve()
    // The small one would fit beside the first, and yet waits for the second.
    expect(begun).toEqual(['large', 'first'])
    first.release()
    first.release()
    await Promise.resolve()
    expect(begun).toEqual(['large', 'first', 'second', 'small'])
    second.release()
    small.release()
    enter('again', 100)
    expect(begun.at(-1)).toBe('again')
  })

  it('Bodies of several clients are unpacked in turns', async () => {
    const gate = createGate({ maxBytes: 10_000, maxUnpackedBytes: 100 })
    const begun: string[] = []
    const tickets: ReturnType<typeof enterWhole>[] = []
    const enter = (client: string, name: string) => {
      const ticket = enterWhole(gate, 100, client)
      const begin = () => {
        begun.push(name)
        tickets.push(ticket)
      }
      const turn = ticket.turn()
      if (turn) void turn.then(begin)
      else begin()
    }
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) enter('a', name)
    for (const name of ['b1', 'b2']) enter('b', name)
    enter('c', 'c1')
    for (let i = 0; i < 8; i++) {
      tickets.shift()!.release()
      await Promise.resolve()
    }
    // The second of a had its turn when the others came.
    expect(begun.slice(0, 4).sort()).toEqual(['a1', 'a2', 'b1', 'c1'])
    expect(begun.slice(4)).toEqual(expect.arrayContaining(['a3', 'b2', 'a4', 'a5']))
    expect(begun.indexOf('b2')).toBeLessThan(begun.indexOf('a5'))
  })

  it('One client has all the room when it is alone, and three quarters of it beside another', () => {
    const gate = createGate({ maxBytes: 100 })
    const first = enterWhole(gate, 60)
    enterWhole(gate, 40).release()
    gate.enter(0, 'b').release()
    expect(() => enterWhole(gate, 20)).toThrow(expect.objectContaining({ code: 'EVT_OVERLOAD' }))
    enterWhole(gate, 15)
    expect(() => enterWhole(gate, 1)).toThrow(expect.objectContaining({ code: 'EVT_OVERLOAD' }))
    enterWhole(gate, 25, 'b')
    expect(() => enterWhole(gate, 1, 'b')).toThrow(expect.objectContaining({ code: 'EVT_OVERLOAD' }))
    first.release()
    // A body that is larger than its share is taken by itself.
    enterWhole(gate, 60, 'c')
  })

  it('A body that grew on its way has its turn with every byte, and closing leaves nobody in line', async () => {
    const gate = createGate({ maxBytes: 1000, maxUnpackedBytes: 100 })
    const one = gate.enter(10, 'a')
    one.grow(80)
    expect(one.turn()).toBeUndefined()
    const two = gate.enter(20, 'a')
    const turn = two.turn()
    gate.close()
    one.release()
    await turn
    two.release()
    expect(gate.inFlightBytes).toBe(0)
  })

  it('answers EVT_CLOSING once closed, and lets those inside finish', () => {
    const gate = createGate({ maxBytes: 100 })
    const ticket = gate.enter(10, 'a')
    gate.close()
    ticket.grow(10)
    expect(() => gate.enter(1, 'a')).toThrow(
      expect.objectContaining({ code: 'EVT_CLOSING', retry: true, status: 503 }),
    )
  })
})
