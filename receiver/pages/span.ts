/** Spans of time that end now, of every page that lets one choose. */
export const spans: { [name: string]: { label: string; ms: number } } = {
  '15m': { label: 'last 15 minutes', ms: 900_000 },
  '1h': { label: 'last hour', ms: 3_600_000 },
  '24h': { label: 'last 24 hours', ms: 86_400_000 },
  '7d': { label: 'last 7 days', ms: 604_800_000 },
  '30d': { label: 'last 30 days', ms: 2_592_000_000 },
  all: { label: 'all time', ms: 0 },
}
