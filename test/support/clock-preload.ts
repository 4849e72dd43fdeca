// Loaded into a process before its own code: its wall clock, in each of its threads, is wrong by the milliseconds that the
// file CLOCK_FILE says, from the start on and, soon, whenever the file changes.
import { readFileSync } from 'node:fs'

const file = process.env.CLOCK_FILE
if (file) {
  const right = Date
  let byMs = 0
  const read = () => {
    try {
      byMs = Number(readFileSync(file, 'utf8')) || 0
    } catch {
      // It is right then.
    }
  }
  read()
  setInterval(read, 100).unref()
  const now = () => right.now() + byMs
  globalThis.Date = new Proxy(right, {
    construct: (target, values, self) =>
      Reflect.construct(target, values.length > 0 ? values : [now()], self),
    apply: () => new right(now()).toString(),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  })
}
