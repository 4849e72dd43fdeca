import { type Detail, invalid, isObject, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { Backups } from '../backup/backup.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { sendJson } from './answer.ts'
import { hasBody, withBody } from './body.ts'
import { schemas } from './schema.ts'

export interface BackupDoorOptions {
  ingest: Ingest
  backups: Backups
  /** As the settings say; shown. */
  backupEnabled: boolean
  /** Absolute. */
  backupDir: string
  maxBodyBytes: number
}

/** MADSci's backup: POST /backup, and GET /backup/status, which its client asks for as GET /backup. */
export function registerBackup(app: FastifyInstance, options: BackupDoorOptions): void {
  const { backups, backupEnabled, backupDir } = options

  app.post('/backup', { schema: schemas.createBackup }, async (request, reply) => {
    const create = async (body: Value) => {
      const path = await backups.create(parseDescription(body))
      return sendJson(reply, { backup_path: path, status: 'completed' })
    }
    // A request without a body is one without a description.
    return hasBody(request.headers) ? withBody(request, options, create) : create(null)
  })

  for (const url of ['/backup', '/backup/status']) {
    const schema = {
      ...schemas.getBackupStatus,
      operationId: url === '/backup' ? 'get_backup' : 'get_backup_status',
    }
    app.get(url, { schema }, async (_request, reply) =>
      sendJson(reply, {
        backup_enabled: backupEnabled,
        backup_dir: backupDir,
        available_backups: await backups.list(),
      }),
    )
  }
}

function parseDescription(body: Value): string | null {
  if (body === null) return null
  const fail = (detail: Detail): never => {
    throw invalid([detail])
  }
  if (!isObject(body)) {
    const msg = 'Input should be a valid dictionary or object to extract fields from'
    return fail({ type: 'model_attributes_type', loc: ['body'], msg, input: body })
  }
  const { description = null } = body
  if (description === null || typeof description === 'string') return description
  const msg = 'Input should be a valid string'
  return fail({ type: 'string_type', loc: ['body', 'description'], msg, input: description })
}
