/** Memory of a megabyte or so, used again: a fresh one costs the kernel's pages and V8's collector more than its bytes. */
export interface MemoryPool {
  take(bytes: number): Buffer
  /** What `take` gave; nobody may look at any part of it any more. Other memory is passed over. */
  giveBack(bytes: Uint8Array): void
}

const maxPooledBytes = 16 * 1024 * 1024
/** Less than this is not worth it. */
export const leastPooledBytes = 64 * 1024

export function createMemoryPool(): MemoryPool {
  const free: ArrayBuffer[] = []
  const given = new WeakSet<ArrayBufferLike>()
  let freeBytes = 0
  return {
    take(bytes) {
      // The largest that lies here; one that is too small for today's bodies makes room for one that is not.
      const found = free.pop()
      if (found) freeBytes -= found.byteLength
      const isFit = found !== undefined && found.byteLength >= bytes
      const memory = isFit ? found : new ArrayBuffer(Math.max(leastPooledBytes, bytes + (bytes >> 2)))
      given.add(memory)
      return Buffer.from(memory, 0, bytes)
    },
    giveBack({ buffer }) {
      if (!given.delete(buffer) || freeBytes + buffer.byteLength > maxPooledBytes) return
      freeBytes += buffer.byteLength
      free.push(buffer as ArrayBuffer)
      free.sort((one, other) => one.byteLength - other.byteLength)
    },
  }
}
