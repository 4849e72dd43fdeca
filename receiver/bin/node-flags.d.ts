export function nodeFlags(major: number): string[]
