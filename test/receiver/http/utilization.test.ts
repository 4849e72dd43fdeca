import { mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LabDay, labDays } from '../../support/lab-day.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const ordinary = labDays.find(({ name }) => name === 'ordinary') as LabDay

for (const backend of ['sqlite', 'mongodb'] as const) {
  describe(`the utilization routes over ${backend}`, () => {
    let receiver: Awaited<ReturnType<typeof startTestReceiver>>
    let mongod: Mongod | undefined
    let skipReason = ''
    beforeAll(async () => {
      let flags: { [name: string]: string } = {}
      if (backend === 'mongodb') {
        const source = await findMongo()
        if ('skip' in source) {
          skipReason = source.skip
          return
        }
        mongod = await startMongod()
        flags = { document_db_url: mongod.url, database_name: freshDatabaseName() }
      }
      receiver = await startTestReceiver({ flags })
    })
    beforeEach((context) => context.skip(skipReason !== '', skipReason))
    afterAll(async () => {
      await receiver?.close()
      await mongod?.stop()
    })

    const ask = (path: string) => fetch(`${receiver.url}utilization/${path}`)
    const json = async (path: string) => (await ask(path)).json() as Promise<{ [key: string]: never }>
    async function post(event: object): Promise<void> {
      const answer = await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(event),
      })
      expect(answer.status).toBe(200)
    }
    const window = 'start_time=2001-05-07&end_time=2001-05-08'

    it('an empty database gives an empty report of the last 24 hours', async () => {
      const report = await json('sessions')
      expect(report).toMatchObject({
        report_metadata: { total_sessions: 1, analysis_duration_hours: 24 },
        session_details: [{ session_type: 'default_analysis', nodes_active: 0 }],
      })
      expect(await json('user')).toMatchObject({ user_utilization: {} })
    })

    it('JSON with the numbers of Python, CSV as a download, and every way that the client asks', async () => {
      for (const event of ordinary.events) await post(event)
      const answer = await ask(`sessions?${window}`)
      expect(answer.headers.get('content-type')).toBe('application/json')
      const text = await answer.text()
      expect(text).toContain('"duration_hours":10.0,"active_time_hours":3.5')
      const csv = await ask(`sessions?${window}&csv_format=true`)
      expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8')
      expect(csv.headers.get('content-disposition')).toBe(
        'attachment; filename=session_utilization_report.csv',
      )
      expect(await csv.text()).toContain(
        'workcell,Workcell 00000001,2001-05-07T08:00:00,2001-05-07T18:00:00,10.0,35.0,4,3\r\n',
      )
      expect((await ask('users')).status).toBe(200)
      expect((await ask('periods?csv_format=maybe')).status).toBe(422)
      expect(await json('sessions?start_time=bogus')).toEqual({
        error: "Failed to generate report: Invalid isoformat string: 'bogus'",
      })
    })

    it('a late event corrects the next report, and so does one that is new', async () => {
      const hours = async () =>
        (await json(`sessions?${window}`)) as unknown as {
          overall_summary: { total_active_time_hours: number }
        }
      expect((await hours()).overall_summary.total_active_time_hours).toBe(3.5)
      const source = { experiment_id: '01EXP000000000000000000050' }
      await post({ event_type: 'experiment_start', event_timestamp: '2001-05-07T13:00:00', source })
      await post({ event_type: 'experiment_complete', event_timestamp: '2001-05-07T14:00:00', source })
      expect((await hours()).overall_summary.total_active_time_hours).toBe(4.5)
    })

    it('periods tell of users, and days are those of the zone through a clock change', async () => {
      const path = 'periods?start_time=2001-03-31T06:00:00Z&end_time=2001-04-03T05:00:00Z'
      const report = (await json(`${path}&user_timezone=America/Chicago`)) as unknown as {
        user_utilization: object
        time_series: { system: { start_time_utc: string }[] }
      }
      expect(report.user_utilization).toMatchObject({ total_users: 0, top_users: [] })
      expect(report.time_series.system.map((point) => point.start_time_utc)).toEqual([
        '2001-03-31T06:00:00',
        '2001-04-01T06:00:00',
        '2001-04-02T05:00:00',
      ])
    })

    it('save_to_file writes below report_dir, and nowhere else', async () => {
      const save = (path: string) =>
        ask(`user?csv_format=true&save_to_file=true${path && `&output_path=${encodeURIComponent(path)}`}`)
      expect(await (await save('')).json()).toEqual({
        error: 'output_path is required when save_to_file=True',
      })
      const root = join(receiver.folder, '.madsci/reports')
      const answer = (await (await save('nightly')).json()) as { file_path: string }
      expect(answer).toMatchObject({ success: true, report_type: 'user_utilization' })
      expect(answer.file_path).toMatch(/reports\/nightly\/madsci_user_utilization_detailed_\d{8}\.csv$/)
      expect(await readFile(answer.file_path, 'utf8')).toContain('=== USER DETAILS ===')
      expect((await save(join(root, 'absolute'))).status).toBe(200)
      await mkdir(join(receiver.folder, 'elsewhere'))
      await symlink(join(receiver.folder, 'elsewhere'), join(root, 'link'))
      await symlink(join(receiver.folder, 'not-there'), join(root, 'dead'))
      for (const path of ['../elsewhere', '/etc', 'a/../..', 'link', 'link/deeper', 'dead', 'dead/deeper'])
        expect((await save(path)).status, path).toBe(422)
      const periods = `periods?${window}&csv_format=true&save_to_file=true&output_path=.&analysis_type=hourly`
      expect(await json(periods)).toMatchObject({ report_type: 'utilization_periods' })
    })
  })
}
