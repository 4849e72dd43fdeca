import { runCommand } from '../../receiver/src/cli/command.ts'

export interface RunOptions {
  workingDirectory: string
  environment?: { [name: string]: string }
  /** Standard output is a terminal of so many columns; none if not given. */
  columns?: number | undefined
  stopping?: AbortSignal
}

/** A command line in this process, to its end. */
export async function runLine(
  args: string[],
  { workingDirectory, environment = {}, columns, stopping = new AbortController().signal }: RunOptions,
): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', '']
  const code = await runCommand(args, {
    environment,
    workingDirectory,
    stdout: {
      ...(columns !== undefined && { columns, isTTY: true }),
      write: (text) => {
        stdout += text
      },
    },
    stderr: {
      write: (text) => {
        stderr += text
      },
    },
    stopping,
  })
  return { code, stdout, stderr }
}
