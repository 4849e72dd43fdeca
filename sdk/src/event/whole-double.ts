import { isObject, setKey, type Value } from './event.ts'

/**
 * A double of OTLP that is a whole number, on its way between a record and an event. An event keeps no difference between 3
 * and 3.0; `otel.doubles` names the places of those that came as doubles, so that they leave as such.
 */
export class WholeDouble {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** Whether a double would be taken for an integer. */
export const isWhole = (value: number): boolean => Number.isSafeInteger(value) && !Object.is(value, -0)

/** What is beyond leaves as integers. */
export const maxDoublePlaces = 1000
export const maxDoublePlaceCharacters = 4096
/** Body, attributes, resource and scope. */
const parts = 4
/** Of a place: values lie no deeper. */
const maxNames = 256

const integer = 1
const double = 2

/**
 * Puts plain numbers in the place of whole doubles in `values`, and gives their JSON Pointers (RFC 6901), behind `place`. The
 * pointer of a list or an object stands for all whole numbers within it. Undefined when there is none.
 */
export function takeDoubles(values: { [key: string]: Value }, place: string): string[] | undefined {
  const places: string[] = []
  for (const key of Object.keys(values)) take(values, key, `${place}/${toPointerToken(key)}`, places)
  let characters = 0
  const end = places.findIndex((one, at) => {
    characters += one.length
    return at >= maxDoublePlaces || characters > maxDoublePlaceCharacters
  })
  if (end >= 0) places.length = end
  return places.length > 0 ? places : undefined
}

/** Gives the kinds of numbers that were met. */
function take(parent: { [key: string]: Value }, key: string, place: string, places: string[]): number {
  const value = parent[key] as Value | WholeDouble
  if (value instanceof WholeDouble) {
    setKey(parent, key, value.value)
    places.push(place)
    return double
  }
  if (typeof value === 'number') return isWhole(value) ? integer : 0
  if (typeof value === 'bigint') return integer
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0
  const members = value as { [key: string]: Value }
  const first = places.length
  let kinds = 0
  for (const name of Object.keys(members))
    kinds |= take(members, name, `${place}/${toPointerToken(name)}`, places)
  if (kinds === double) {
    places.length = first
    places.push(place)
  }
  return kinds
}

interface Node {
  isAll: boolean
  members: Map<string, Node>
}

/** The places below one name of `otel.doubles`, which may have any shape. Undefined when there are none. */
export class DoublePlaces {
  private readonly root: Node

  static read(places: Value | undefined): DoublePlaces | undefined {
    if (!Array.isArray(places)) return undefined
    const root = createNode()
    let characters = 0
    for (const place of places.slice(0, maxDoublePlaces * parts)) {
      if (typeof place !== 'string' || !place.startsWith('/')) continue
      characters += place.length
      if (characters > maxDoublePlaceCharacters * parts) break
      const names = place.slice(1).split('/', maxNames + 1)
      if (names.length > maxNames) continue
      let node = root
      for (const name of names) {
        const known = node.members.get(fromToken(name))
        const next = known ?? createNode()
        if (!known) node.members.set(fromToken(name), next)
        node = next
      }
      node.isAll = true
    }
    return root.members.size > 0 ? new DoublePlaces(root) : undefined
  }

  private constructor(root: Node) {
    this.root = root
  }

  /** A copy with whole doubles at the places below these names; what has none is given as it is. */
  mark<T extends Value | undefined>(value: T, ...names: string[]): T {
    let node: Node | undefined = this.root
    for (const name of names) node = node?.members.get(name)
    return node && value !== undefined ? (mark(value, node) as T) : value
  }
}

const createNode = (): Node => ({ isAll: false, members: new Map() })

function mark(value: Value, node: Node | undefined): Value {
  if (!node) return value
  if (typeof value === 'number')
    return node.isAll && isWhole(value) ? (new WholeDouble(value) as never) : value
  const next = (name: string) => (node.isAll ? node : node.members.get(name))
  if (Array.isArray(value)) return value.map((member, index) => mark(member, next(String(index))))
  if (!isObject(value)) return value
  const copy: { [key: string]: Value } = {}
  for (const key of Object.keys(value)) setKey(copy, key, mark(value[key]!, next(key)))
  return copy
}

/** A name as JSON Pointers write it. */
export const toPointerToken = (name: string) =>
  name.includes('~') || name.includes('/') ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name
const fromToken = (name: string) => name.replaceAll('~1', '/').replaceAll('~0', '~')
