/** A command line, taken apart. */
export interface CommandCall {
  arguments: readonly string[]
  /** Options of this command. */
  options: { [name: string]: string | true | undefined }
  /** Settings. */
  flags: { [name: string]: string }
}
