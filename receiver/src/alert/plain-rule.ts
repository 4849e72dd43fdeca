import { parseSelector, type Selector } from '../store/selector.ts'
import { type Rule, regexTimeoutMs } from './rule.ts'

type Source = Selector['source']

/** A rule on its way to another thread. */
export interface PlainRule extends Omit<Rule, 'selector' | 'recovery'> {
  selector: Source | undefined
  recovery: Source | undefined
}

export const toPlainRule = (rule: Rule): PlainRule => ({
  ...rule,
  selector: rule.selector?.source,
  recovery: rule.recovery?.source,
})

export const fromPlainRule = (rule: PlainRule): Rule => ({
  ...rule,
  selector: rule.selector && parseSelector(rule.selector, { regexTimeoutMs }),
  recovery: rule.recovery && parseSelector(rule.recovery, { regexTimeoutMs }),
})
