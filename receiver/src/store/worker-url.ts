/**
 * The file of a thread, given from this folder and without extension. Sources run unbuilt too, and a path in a text is
 * not rewritten by the compiler.
 */
export function workerUrl(path: string): URL {
  return new URL(`${path}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
}
