import { z } from 'zod'

/** What the utilization routes take and answer, for the OpenAPI document. */

const time = z.string().optional().describe('ISO 8601; without offset UTC, a date alone is midnight')
const window = { start_time: time, end_time: time }
const csv = {
  csv_format: z.boolean().default(false).describe('CSV instead of JSON'),
  save_to_file: z.boolean().default(false).describe('with csv_format: into a file of the receiver'),
  output_path: z.string().optional().describe('its folder: report_dir, or below it'),
}
const report = z
  .record(z.string(), z.unknown())
  .describe('the report, or {"error": …} as the original answers it')
const detail = z.object({ detail: z.unknown() })
const response = { 200: report, 400: detail, 422: detail, 503: detail }

export const utilizationSchemas = {
  sessions: {
    operationId: 'get_session_utilization',
    summary: 'Sessions between starts and stops of labs and workcells, their nodes and experiments',
    querystring: z.object({ ...window, ...csv }),
    response,
  },
  periods: {
    operationId: 'get_utilization_periods',
    summary: 'Utilization by hour, day, week or month of a time zone',
    querystring: z.object({
      ...window,
      analysis_type: z.string().default('daily').describe('hourly, daily, weekly or monthly'),
      user_timezone: z.string().default('America/Chicago').describe('IANA zone'),
      include_users: z.boolean().default(true).describe('the authors of workflows too'),
      ...csv,
    }),
    response,
  },
  user: {
    operationId: 'get_user_utilization_report',
    summary: 'Workflows and run times by their authors',
    querystring: z.object({ ...window, ...csv }),
    response,
  },
}
