import { signal, useSignal } from '@preact/signals'
import { follow, query } from './state.ts'

interface View {
  name: string
  /** The address behind `/explore`, with its question mark. */
  query: string
}

const key = 'views'
const maxViews = 50
const views = signal<View[]>(remembered())

function remembered(): View[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
    if (!Array.isArray(list)) return []
    return (list as View[]).filter((one) => typeof one?.name === 'string' && typeof one.query === 'string')
  } catch {
    return []
  }
}

function keep(list: View[]): void {
  views.value = list
  try {
    localStorage.setItem(key, JSON.stringify(list))
  } catch {
    // Only this page remembers them then.
  }
}

/** Searches that somebody gave a name, remembered in this browser. */
export function SavedViews() {
  const name = useSignal('')
  return (
    <details class="views">
      <summary>Saved views{views.value.length > 0 && ` (${views.value.length})`}</summary>
      <ul class="lines">
        {views.value.map((view) => (
          <li key={view.name}>
            <a href={`/explore?${view.query.slice(1)}`} onClick={follow}>
              <bdi>{view.name}</bdi>
            </a>{' '}
            <button
              type="button"
              aria-label={`Forget ${view.name}`}
              onClick={() => keep(views.value.filter((one) => one !== view))}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault()
          const given = name.value.trim().slice(0, 100)
          if (given === '') return
          const others = views.value.filter((one) => one.name !== given)
          keep([...others, { name: given, query: query.value }].slice(-maxViews))
          name.value = ''
        }}
      >
        <input
          aria-label="Name of this view"
          placeholder="name of this view"
          value={name.value}
          onInput={({ currentTarget }) => {
            name.value = currentTarget.value
          }}
        />
        <button type="submit">Save</button>
      </form>
    </details>
  )
}
