import { readConfig } from '../config/config.ts'
import { startLab } from '../demo/lab.ts'
import { aborted, closeReceiver, createLog, openReceiver } from './serve.ts'
import type { Terminal } from './terminal.ts'

const demoStore = 'sqlite:.madsci/demo.db'

/** The receiver and a simulated laboratory, until a signal comes; its figures move on one line. */
export async function demo(flags: { [name: string]: string }, terminal: Terminal): Promise<number> {
  // A demo must not write into a laboratory's record: it has its own file, unless the command line says otherwise.
  const config = readConfig({
    ...terminal,
    flags: { document_db_url: demoStore, log_level: 'warn', ...flags },
  })
  const log = createLog(config)
  const receiver = await openReceiver(config, log, terminal)
  const lab = startLab({ url: receiver.url, speed: 5 })
  const { stdout } = terminal
  stdout.write('a laboratory of five nodes is at work; ctrl-C ends it\n')

  let storedBefore = 0
  const showFigures = () => {
    const stored = receiver.metric.total('events_stored')
    const { emitted, workflowsRunning, workflowsComplete, workflowsFailed } = lab.figures
    const line =
      `emitted ${emitted}  stored ${stored} (${stored - storedBefore}/s)  ` +
      `workflows ${workflowsRunning} running, ${workflowsComplete} complete, ${workflowsFailed} failed`
    storedBefore = stored
    stdout.write(stdout.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
  }
  const timer = setInterval(showFigures, 1000)
  await aborted(terminal.stopping)
  clearInterval(timer)
  await lab.close()
  showFigures()
  stdout.write('\n')
  return closeReceiver(receiver, log, terminal)
}
