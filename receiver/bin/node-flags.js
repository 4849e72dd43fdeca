/** What the receiver's Node of this major version is told. Who starts it without the launcher (the image, the tests) says the same. */
export function nodeFlags(major) {
  return [
    // V8 guards its machine code with memory protection keys where the processor has them, and loses count of its pages
    // when several threads come and go: the process then ends with `Check failed: jit_page.has_value()`.
    ...(major > 24 ? [] : ['--no-memory-protection-keys']),
    // MiB. Memory of bodies and documents is let go by collections of the young generation. In one of V8's own size it
    // stays long enough to bring about collections of everything, and resident memory creeps up under load.
    '--max-semi-space-size=8',
    // MiB. What one request becomes is bounded far below; on a large machine V8 would let garbage grow to gigabytes, and
    // the receiver is to stay within the 1 GiB that the containers of docker/ have.
    '--max-old-space-size=512',
    // Threads that help V8 collect garbage, for all of ours together. They run at the priority of the thread that commits: of
    // the usual four, the garbage of queries and of large bodies would keep both cores from it.
    '--v8-pool-size=1',
  ]
}

/**
 * What its C library is told. By default each thread has an arena of its own, which keeps what the thread has freed, also
 * after its end: threads that come and go would take hundreds of megabytes.
 */
export const nodeEnv = { MALLOC_ARENA_MAX: '2' }
