import { parseAst } from 'rolldown/parseAst'

/** Of a source, what stands from `start` to `end` becomes `text`. */
export interface Mutation {
  start: number
  end: number
  text: string
}

const operators: { [operator: string]: string } = {
  '===': '!==',
  '!==': '===',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '&&': '||',
  '||': '&&',
  '+': '-',
  '-': '+',
}

interface Node {
  type: string
  start: number
  end: number
  [member: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'

/** Operators that are turned round, booleans that are negated, calls that are left out; in the order of the source. */
export function mutationsOf(source: string): Mutation[] {
  const found: Mutation[] = []
  const visit = (node: Node) => {
    // Types do nothing when the program runs.
    if (node.type.startsWith('TS') && !isNode(node.expression)) return
    if (node.type === 'BinaryExpression' || node.type === 'LogicalExpression') {
      const text = operators[node.operator as string]
      const [left, right] = [node.left as Node, node.right as Node]
      const at = source.indexOf(node.operator as string, left.end)
      if (text !== undefined && at >= 0 && at < right.start)
        found.push({ start: at, end: at + (node.operator as string).length, text })
    }
    if (node.type === 'Literal' && typeof node.value === 'boolean')
      found.push({ start: node.start, end: node.end, text: String(!node.value) })
    if (node.type === 'ExpressionStatement') {
      const expression = node.expression as Node
      const inner = expression.type === 'AwaitExpression' ? (expression.argument as Node) : expression
      if (inner.type === 'CallExpression') found.push({ start: node.start, end: node.end, text: ';' })
    }
    for (const value of Object.values(node)) {
      if (Array.isArray(value)) for (const one of value) isNode(one) && visit(one)
      else if (isNode(value)) visit(value)
    }
  }
  visit(parseAst(source, { lang: 'ts' }) as unknown as Node)
  return found.sort((one, other) => one.start - other.start)
}
