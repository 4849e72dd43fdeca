import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { describe, expect, it } from 'vitest'
import { createTracing } from '../../receiver/src/telemetry-span.ts'

function start(maxPerSecond: number) {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  })
  let untraced = 0
  const tracing = createTracing(provider.getTracer('test'), { maxPerSecond, onUntraced: () => untraced++ })
  return {
    tracing,
    namesOf: () => exporter.getFinishedSpans().map(({ name }) => name),
    untraced: () => untraced,
  }
}

describe('operations of one second', () => {
  it('have spans up to a number; those beyond are counted, each as one with its steps', () => {
    const { tracing, namesOf, untraced } = start(10)
    for (let index = 0; index < 1000; index++) {
      const span = tracing.begin('POST /event', { kind: 'server' })
      span.step('commit', performance.now())
      span.end()
      span.end()
    }
    // The thousand may take longer than a second.
    expect(namesOf().length / 2 + untraced()).toBe(1000)
    expect(namesOf().filter((name) => name === 'commit').length).toBe(namesOf().length / 2)
    expect(untraced()).toBeGreaterThan(900)
    expect(namesOf().length).toBeGreaterThanOrEqual(20)
  })

  it('have a span beyond the number, too, when it was named to others', () => {
    const { tracing, namesOf, untraced } = start(0)
    const span = tracing.begin('fanout loki', { kind: 'client' })
    expect(span.header()).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    span.end()
    tracing.begin('fanout loki', { kind: 'client' }).end()
    expect(namesOf()).toEqual(['fanout loki'])
    expect(untraced()).toBe(1)
  })
})
