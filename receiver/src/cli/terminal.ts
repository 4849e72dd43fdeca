/** The process as a command sees it. */
export interface Terminal {
  environment: { [name: string]: string | undefined }
  workingDirectory: string
  stdout: Output
  stderr: Output
  /** Aborts at the first SIGTERM, SIGINT or SIGHUP; its reason is the signal's name. */
  stopping: AbortSignal
}

export interface Output {
  write(text: string): unknown
  isTTY?: boolean
}
