import { useEffect, useRef } from 'preact/hooks'
import { path } from './state.ts'

const keysOf: { [path: string]: [keys: string, what: string][] } = {
  '/explore': [
    ['/', 'to the search line'],
    ['j k ↓ ↑', 'the next event, the one before'],
    ['Escape', 'closes the event'],
    ['Space', 'stops the list that follows what comes, and shows what came'],
    ['← → on the histogram', 'chooses a time; with Shift a longer one; Enter narrows to it'],
    ['Alt and a click on a name', 'leaves its events out'],
  ],
  '/timeline': [
    ['← → a d', 'earlier, later'],
    ['+ − w s', 'closer, wider'],
    ['End', 'to the present'],
    ['↑ ↓', 'from row to row'],
    ['j k', 'along a row'],
    ['l', 'to the next lane of a row'],
    ['f', 'follows the workflow of what is chosen'],
    ['c', 'draws times without work short'],
    ['Enter', 'to the events of what is chosen'],
    ['Escape', 'chooses nothing, then follows nothing'],
  ],
  '/use': [['← → ↑ ↓ on the map', 'from cell to cell; Enter opens the timeline']],
}

/** The keys of a page, by a button and by the key `?`. */
export function KeyList() {
  const dialog = useRef<HTMLDialogElement>(null)
  const own = keysOf[path.value] ?? []
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { target, key } = event
      const isText =
        target instanceof Element && target.matches('input:not([type=checkbox]), select, textarea')
      if (key !== '?' || isText || event.ctrlKey || event.metaKey || event.altKey) return
      event.preventDefault()
      if (dialog.current?.open) dialog.current.close()
      else dialog.current?.showModal()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
  return (
    <>
      <button type="button" title="Keys (?)" onClick={() => dialog.current?.showModal()}>
        ?<span class="hidden">The keys of this page</span>
      </button>
      <dialog ref={dialog} aria-labelledby="keys">
        <h2 id="keys">Keys</h2>
        <dl>
          {[...own, ['?', 'shows and hides this list'], ['Tab', 'from link to link and field to field']].map(
            ([keys, what]) => (
              <div key={keys}>
                <dt>{keys}</dt>
                <dd>{what}</dd>
              </div>
            ),
          )}
        </dl>
        <form method="dialog">
          <button type="submit">Close</button>
        </form>
      </dialog>
    </>
  )
}
