export function nodeFlags(major: number): string[]
export const nodeEnv: { [name: string]: string }
