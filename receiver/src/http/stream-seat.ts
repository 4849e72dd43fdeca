export interface StreamSeat {
  leave(): void
}

/**
 * A bounded number of streams, shared by address: when all are taken, the oldest one of the address that has most makes room
 * for an address that has at least two fewer.
 */
export function createStreamSeats(max: number) {
  const streamsOf = new Map<string, Set<{ end: () => void }>>()
  let taken = 0

  function makeRoom(own: number): boolean {
    const most = [...streamsOf.values()].reduce((one, other) => (other.size > one.size ? other : one))
    if (most.size < own + 2) return false
    const [oldest] = most
    oldest!.end()
    return true
  }

  return {
    get taken() {
      return taken
    },
    /** Undefined when there is no room. `onEvict` is called when this one has to make room. */
    take(address: string, onEvict: () => void): StreamSeat | undefined {
      if (taken >= max && !makeRoom(streamsOf.get(address)?.size ?? 0)) return undefined
      const own = streamsOf.get(address) ?? new Set()
      streamsOf.set(address, own)
      const leave = () => {
        if (!own.delete(seat)) return
        taken--
        if (own.size === 0) streamsOf.delete(address)
      }
      const seat = {
        end() {
          leave()
          onEvict()
        },
      }
      own.add(seat)
      taken++
      return { leave }
    },
  }
}
