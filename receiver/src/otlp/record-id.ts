import { hash } from 'node:crypto'
import { type LogRecord, ulidFrom } from '@madsci-events/sdk/event'

/** What sets the records of a request apart that bring no `log.record.uid`. Random parts have ten bytes. */
export interface RequestIdentity {
  /** Random part of the ids of records that have a time. */
  dated: Uint8Array
  /** The same of those that have none, and the time of their ids, ms since 1970. */
  undated: Uint8Array
  undatedMs: number
}

export const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')

/** The identity of a request, by the digest (hex) of its bytes after decompression. */
export type Identify = (digest: string) => RequestIdentity

export interface RecordIds {
  /** The id of the next record that brings none. */
  idOf(record: LogRecord): string
  /** The same for one of this time, ms since 1970, which is still the next one until `advance`. */
  idAt(unixMs: number): string
  advance(): void
}

/**
 * Ids for the records of one request that bring none: the ULID of the record's own time, and of the request's identity
 * with the record's number added. So two equal records of a request are two events, the same request sent again gives the
 * same ids, and an equal record in another request has an id of its own. The request is digested only when it has such records.
 */
export function createRecordIds(bytes: Uint8Array, identify: Identify = identifyByContent): RecordIds {
  let identity: RequestIdentity | undefined
  let number = 0
  const identityOf = () => {
    identity ??= identify(digestOf(bytes))
    return identity
  }
  const idAt = (unixMs: number) => ulidFrom(unixMs, plus(identityOf().dated, number))
  return {
    idOf({ timeUnixNano, observedTimeUnixNano }) {
      const time = timeUnixNano || observedTimeUnixNano
      const { undatedMs, undated } = identityOf()
      const id = time === 0n ? ulidFrom(undatedMs, plus(undated, number)) : idAt(Number(time / 1_000_000n))
      number++
      return id
    },
    idAt,
    advance() {
      number++
    },
  }
}

/** Where nobody remembers requests: the same bytes are the same request. */
function identifyByContent(digest: string): RequestIdentity {
  const random = Buffer.from(digest, 'hex').subarray(0, 10)
  return { dated: random, undated: random, undatedMs: 0 }
}

const sum = new Uint8Array(10)

/** Beyond the greatest, it begins anew. The same memory each time. */
function plus(random: Uint8Array, number: number): Uint8Array {
  let carry = number
  for (let i = 9; i >= 0; i--) {
    carry += random[i]!
    sum[i] = carry & 255
    carry = Math.floor(carry / 256)
  }
  return sum
}
