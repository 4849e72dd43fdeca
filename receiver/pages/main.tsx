import { type ComponentChild, render } from 'preact'
import { EventPage } from './event.tsx'
import { ExplorePage } from './explore.tsx'
import { LabPage } from './lab.tsx'
import { OpsPage } from './ops.tsx'
import { RunPage } from './run.tsx'
import { RunsPage } from './runs.tsx'
import { Shell } from './shell.tsx'
import { path } from './state.ts'
import { TimelinePage } from './timeline.tsx'
import { UsePage } from './use.tsx'
import { WatchPage } from './watch.tsx'

const pages: { [path: string]: () => ComponentChild } = {
  '/explore': ExplorePage,
  '/runs': RunsPage,
  '/watch': WatchPage,
  '/ops': OpsPage,
  '/timeline': TimelinePage,
  '/use': UsePage,
}

/** The page of the address. Unknown addresses are the server's, which answers 404. */
function App() {
  const event = /^\/e\/([^/]+)$/.exec(path.value)
  const run = /^\/run\/(experiment|workflow)\/([^/]+)$/.exec(path.value)
  const Page = pages[path.value]
  if (Page)
    return (
      <Shell>
        <Page />
      </Shell>
    )
  if (run)
    return (
      <Shell>
        <RunPage key={path.value} kind={run[1]!} id={toId(run[2]!)} />
      </Shell>
    )
  return <Shell>{event ? <EventPage key={event[1]} id={toId(event[1]!)} /> : <LabPage />}</Shell>
}

function toId(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

render(<App />, document.body)
