export function attack(target: {
  url: string
  reading: readonly string[]
  changing: readonly [method: string, path: string, body?: string][]
}): Promise<string[]>
