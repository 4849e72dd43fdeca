import { setting } from './setting.ts'

/** Reports. */
export const utilizationSettings = {
  report_dir: setting({
    fallback: '.madsci/reports',
    unit: 'path',
    about:
      'folder at or below which `save_to_file` may write reports, from the working directory; `.madsci/…` as for `backup_dir`',
    parse: (given) => given,
    schema: { type: 'string', format: 'path' },
  }),
}
