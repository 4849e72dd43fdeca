import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import type { OpsAnswer } from '../src/http/ops-answer.ts'
import type { SummaryAnswer } from '../src/http/summary-answer.ts'
import type { WatchAnswer } from '../src/http/watch-answer.ts'
import { Act } from './act.tsx'
import { useAnswer, useText } from './load.ts'
import { countOf, showBytes, showCount } from './time.ts'

interface Health {
  healthy: boolean
  description: string
  version: string
  total_events: number | null
  fanout?: { [name: string]: unknown }[]
}

interface BackupStatus {
  backup_enabled: boolean
  backup_dir: string
  available_backups: { path: string; created_at: string; size_bytes: number; is_valid: boolean }[]
}

const dayMs = 86_400_000
const days = 14
const summaryUrl = `/events/summary?${new URLSearchParams({
  start_time: new Date(Math.floor(Date.now() / dayMs) * dayMs - (days - 1) * dayMs).toISOString(),
  include_archived: 'true',
  buckets: String(days),
  values: '0',
  timeout_ms: '3000',
})}`

/** How the receiver does: its store, its commits, what waits, backups and settings. */
export function OpsPage() {
  const health = useAnswer<Health>('/health', 5000)
  const ops = useAnswer<OpsAnswer>('/data/ops', 5000)
  const metrics = useText('/metrics', 5000)
  const summary = useAnswer<SummaryAnswer>(summaryUrl)
  const backups = useAnswer<BackupStatus>('/backup/status')
  const settings = useAnswer<{ settings: { [name: string]: unknown } }>('/settings?include_defaults=false')
  const all = useAnswer<{ settings: { [name: string]: unknown } }>('/settings')
  const watch = useAnswer<WatchAnswer>('/data/watch')
  useEffect(() => {
    document.title = 'Operation'
  }, [])
  if (!health.answer) return <h1 class="sentence">{health.problem || 'Asking the receiver …'}</h1>
  const { healthy, description, version, total_events, fanout } = health.answer
  return (
    <>
      <h1 class={`sentence ${healthy ? '' : 'sentence-bad'}`}>{description}</h1>
      <p class="note">
        Version {version}
        {total_events !== null && `, ${countOf(total_events, 'event')}`}
      </p>
      <Part title="Store">
        {ops.problem && <p class="note problem">{ops.problem}</p>}
        {ops.answer && <Facts rows={toStoreFacts(ops.answer, summary.answer)} />}
      </Part>
      <Part title="Retention">
        {all.problem && <p class="note problem">{all.problem}</p>}
        {all.answer && <p>{retentionOf(all.answer.settings)}</p>}
      </Part>
      <Part title="What doctor says">
        <Findings findings={ops.answer?.findings ?? []} />
      </Part>
      <Part title="Ingest and commits">
        <Facts rows={toFacts(metrics)} />
      </Part>
      {fanout && (
        <Part title="Fan-out">
          {fanout.map((one, index) => (
            <Facts key={index} rows={Object.entries(one).map(([name, value]) => [name, shownText(value)])} />
          ))}
        </Part>
      )}
      <Part title="Events a day">
        {summary.problem && <p class="note problem">{summary.problem}</p>}
        {summary.answer && <Growth summary={summary.answer} />}
      </Part>
      <Part title="Backups">
        {backups.problem && <p class="note problem">{backups.problem}</p>}
        {backups.answer && <Backups status={backups.answer} />}
        {typeof watch.answer?.token === 'string' ? (
          <Act
            label="Make a backup"
            url="/backup"
            body={{ description: 'browser' }}
            token={watch.answer.token}
            onDone={backups.reload}
          />
        ) : (
          <p class="note">A button that makes one is here with the setting pages=act.</p>
        )}
      </Part>
      <Part title="Settings that somebody set">
        {settings.problem && <p class="note problem">{settings.problem}</p>}
        {settings.answer && (
          <Facts
            rows={Object.entries(settings.answer.settings).map(([name, value]) => [name, shownText(value)])}
          />
        )}
        <p class="note">Secrets are not shown. What waits in spools of programs is not seen from here.</p>
      </Part>
    </>
  )
}

/** How long events stay, in a sentence. */
function retentionOf(settings: { [name: string]: unknown }): string {
  if (settings.retention_enabled !== true)
    return 'Nothing is archived or deleted by age (retention_enabled is false).'
  const rules = Array.isArray(settings.retention_rules) ? settings.retention_rules.length : 0
  const [archived, deleted] = [
    Number(settings.soft_delete_after_days),
    Number(settings.hard_delete_after_days),
  ]
  return `Events are archived after ${countOf(archived, 'day')} and deleted ${countOf(deleted, 'day')} later${
    rules > 0 ? `, but for ${countOf(rules, 'rule')} of retention_rules` : ''
  }.`
}

const stores = { sqlite: 'SQLite', mongodb: 'MongoDB', null: 'none: nothing is kept' }

/** Growth by the events of the days that are shown below, each as large as the stored ones are on average. */
function toStoreFacts({ store }: OpsAnswer, summary: SummaryAnswer | undefined): [string, string][] {
  const { kind, bytes, total_events } = store
  const facts: [string, string][] = [['database', stores[kind]]]
  if (bytes === null) return [...facts, ['on disk', 'not known now']]
  facts.push(['on disk, with indexes', showBytes(bytes)])
  if (!total_events) return facts
  facts.push(['size per event', showBytes(bytes / total_events)])
  if (summary?.is_complete) {
    const first = summary.histogram.buckets.find(({ total }) => total > 0)
    const since = first ? (Date.now() - Date.parse(first.start_time)) / dayMs : 0
    const daily = (summary.total / since) * (bytes / total_events)
    if (since >= 1)
      facts.push(['grows by', `${showBytes(daily)} a day, by the last ${countOf(Math.ceil(since), 'day')}`])
  }
  return facts
}

const marks = {
  good: { mark: '✓', style: '' },
  warning: { mark: '!', style: 'waits' },
  problem: { mark: '✗', style: 'problem' },
}

function Findings({ findings }: { findings: OpsAnswer['findings'] }) {
  return (
    <>
      <ul class="lines">
        {findings.map(({ check, state, text, advice }) => (
          <li key={check + text} class={marks[state].style}>
            <span aria-hidden="true">{marks[state].mark}</span> <span class="hidden">{state}: </span>
            {check}: <bdi>{text}</bdi>
            {advice && (
              <>
                {' – '}
                <bdi>{advice}</bdi>
              </>
            )}
          </li>
        ))}
      </ul>
      <p class="note">
        Ports, the speed of the disk and the clock of the database are checked by{' '}
        <code>madsci-events doctor</code>.
      </p>
    </>
  )
}

const shownText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  )
}

function Facts({ rows }: { rows: readonly (readonly [string, string])[] }) {
  if (rows.length === 0) return <p class="note">None.</p>
  return (
    <dl class="wide">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>
            <bdi>{name}</bdi>
          </dt>
          <dd>
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  )
}

const shownMetrics: [name: string, about: string][] = [
  ['events_received_total', 'events received since its start'],
  ['events_stored_total', 'stored'],
  ['events_duplicate_total', 'were stored already'],
  ['events_rejected_total', 'refused for good'],
  ['events_unavailable_total', 'sent back to be tried again'],
  ['events_waiting', 'waiting for a commit'],
  ['alerts_pending', 'messages not delivered yet'],
  ['alerts_undeliverable', 'messages given up'],
  ['fanout_lag_seconds', 'fan-out behind by seconds'],
  ['streams_open', 'open streams (tail)'],
  ['conservation_violations_total', 'events lost, late or doubled'],
]

function toFacts(text: string): [string, string][] {
  const sums = sumsOf(text)
  const facts = shownMetrics.flatMap(([name, about]): [string, string][] => {
    const value = sums.get(`madsci_${name}`)
    return value === undefined ? [] : [[about, showCount(value)]]
  })
  const count = sums.get('madsci_commit_duration_seconds_count') ?? 0
  const seconds = sums.get('madsci_commit_duration_seconds_sum') ?? 0
  if (count > 0)
    facts.push([
      'commits',
      `${showCount(count)}, ${((seconds / count) * 1000).toFixed(1)} ms each on average`,
    ])
  return facts
}

/** The text of /metrics → values by name, of all labels together. */
function sumsOf(text: string): Map<string, number> {
  const sums = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const brace = line.indexOf('{')
    const name = line.slice(0, brace < 0 ? line.indexOf(' ') : brace)
    const value = Number(line.slice(line.lastIndexOf(' ') + 1))
    if (Number.isFinite(value)) sums.set(name, (sums.get(name) ?? 0) + value)
  }
  return sums
}

function Growth({ summary }: { summary: SummaryAnswer }) {
  const { buckets } = summary.histogram
  const most = Math.max(1, ...buckets.map(({ total }) => total))
  if (buckets.length === 0) return <p class="note">None in {days} days.</p>
  return (
    <ul class="lines growth">
      {buckets.map(({ start_time, total }) => (
        <li key={start_time}>
          <span class="since">{start_time.slice(0, 10)} UTC</span> <span>{showCount(total)}</span>
          <svg class="strip" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="fill-busy" x="0" y="2" width={(total / most) * 1000} height="8" />
          </svg>
        </li>
      ))}
      {!summary.is_complete && <li class="note">Counted as far as three seconds went.</li>}
    </ul>
  )
}

function Backups({ status }: { status: BackupStatus }) {
  const { backup_enabled, backup_dir, available_backups } = status
  return (
    <>
      <p class="note">
        {backup_enabled ? 'By schedule, to ' : 'Not by schedule. To '}
        <bdi>{backup_dir}</bdi>
      </p>
      <ul class="lines">
        {available_backups.length === 0 && <li class="note">There is none.</li>}
        {available_backups.length > 0 && <li class="note">Times are those of the receiver's clock.</li>}
        {available_backups.slice(0, 20).map(({ path, created_at, size_bytes, is_valid }) => (
          <li key={path} class={is_valid ? '' : 'problem'}>
            <span class="since">{created_at.slice(0, 19).replace('T', ' ')}</span> {showBytes(size_bytes)}{' '}
            {is_valid ? 'whole' : 'damaged'} <bdi>{path.slice(path.lastIndexOf('/') + 1)}</bdi>
          </li>
        ))}
      </ul>
    </>
  )
}
