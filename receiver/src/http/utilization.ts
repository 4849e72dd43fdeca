import { Readable } from 'node:stream'
import { type Detail, EventError, invalid } from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { saveReport } from '../utilization/report-file.ts'
import type { Utilization, UtilizationAnswer } from '../utilization/thread.ts'
import { sendJson } from './answer.ts'
import { createParameters } from './parameter.ts'
import { utilizationSchemas } from './utilization-schema.ts'

export interface UtilizationDoorOptions {
  utilization: Utilization
  /** Absolute: where reports may be saved. */
  reportDir: string
}

/** The word for a report in the name of its file, and in the answer when it was saved. */
const saved = {
  sessions: { kind: () => 'utilization_report_basic', type: 'session_utilization' },
  user: { kind: () => 'user_utilization_detailed', type: 'user_utilization' },
  periods: {
    kind: (analysisType: string) => `utilization_periods_${analysisType.replace(/[^\w-]/g, '_')}`,
    type: 'utilization_periods',
  },
}

/** The original's reports: GET /utilization/sessions, /periods and /user, which its client asks for as /users. */
export function registerUtilization(app: FastifyInstance, options: UtilizationDoorOptions): void {
  const { utilization, reportDir } = options
  const routes = { sessions: ['sessions'], periods: ['periods'], user: ['user', 'users'] } as const
  for (const [name, paths] of Object.entries(routes)) {
    const report = name as keyof typeof routes
    for (const path of paths) {
      const { operationId, ...schema } = utilizationSchemas[report]
      const id = path === 'users' ? 'get_users_utilization_report' : operationId
      app.get(`/utilization/${path}`, { schema: { ...schema, operationId: id } }, async (request, reply) => {
        const parameters = createParameters(request.query)
        const csv = parameters.boolean('csv_format', false)
        const save = parameters.boolean('save_to_file', false)
        const users = parameters.boolean('include_users', true)
        const outputPath = parameters.text('output_path')
        const analysisType = parameters.text('analysis_type') ?? 'daily'
        parameters.check()
        const answer = await utilization.ask({
          report,
          parameters: {
            start_time: parameters.text('start_time'),
            end_time: parameters.text('end_time'),
            analysis_type: analysisType,
            user_timezone: parameters.text('user_timezone'),
            include_users: String(users),
            csv_format: String(csv),
          },
        })
        if (!csv || !save || answer.fileName === undefined) return sendReport(reply, answer)
        const { kind, type } = saved[report]
        const fileName = `madsci_${kind(analysisType)}_${localDate()}.csv`
        return sendJson(reply, await saveAnswer(answer, { reportDir, outputPath, fileName, type }))
      })
    }
  }
}

interface Saving {
  reportDir: string
  outputPath: string | undefined
  fileName: string
  type: string
}

async function saveAnswer(answer: UtilizationAnswer, saving: Saving): Promise<object> {
  const { reportDir, outputPath, fileName, type } = saving
  let text = ''
  for await (const piece of answer.pieces) text += piece
  if (!outputPath) return { error: 'output_path is required when save_to_file=True' }
  try {
    return {
      success: true,
      message: 'CSV file saved successfully',
      file_path: await saveReport(reportDir, outputPath, fileName, text),
      csv_format: true,
      saved_to_server: true,
      report_type: type,
    }
  } catch (error) {
    if (!(error instanceof EventError)) return { error: `CSV generation failed: ${(error as Error).message}` }
    const detail: Detail = {
      type: 'value_error',
      loc: ['query', 'output_path'],
      msg: `Value error, ${error.message}`,
      input: outputPath,
    }
    throw invalid([detail])
  }
}

/** Sends a report as it comes from its thread; trouble on the way cuts the connection. */
export async function sendReport(reply: FastifyReply, answer: UtilizationAnswer): Promise<FastifyReply> {
  const { contentType, fileName, pieces } = answer
  const iterator = pieces[Symbol.asyncIterator]()
  // The client may go before anything of the rest was asked for.
  reply.raw.once('close', () => void iterator.return?.())
  const first = await iterator.next()
  reply.header('content-type', contentType)
  if (fileName !== undefined) reply.header('content-disposition', `attachment; filename=${fileName}`)
  if (first.done) return reply.send('')
  const second = await iterator.next()
  if (second.done) return reply.send(first.value)
  const rest = async function* () {
    try {
      yield first.value
      yield second.value
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  return reply.send(Readable.from(rest(), { objectMode: false, highWaterMark: 1 << 18 }))
}

/** Today in the zone of the process, YYYYMMDD. */
function localDate(): string {
  const now = new Date()
  const pad = (value: number) => String(value).padStart(2, '0')
  return `${now.getFullYear()}${pad(now.getMonth() + 1)}${pad(now.getDate())}`
}
