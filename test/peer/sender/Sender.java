import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.logs.LogRecordBuilder;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.context.Context;
import io.opentelemetry.exporter.otlp.http.logs.OtlpHttpLogRecordExporter;
import io.opentelemetry.exporter.otlp.logs.OtlpGrpcLogRecordExporter;
import io.opentelemetry.sdk.logs.SdkLoggerProvider;
import io.opentelemetry.sdk.logs.export.BatchLogRecordProcessor;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.resources.Resource;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Sends the odd and the equal records by OpenTelemetry's SDK for Java: {@code Sender http|grpc HOST:PORT ...}. */
public final class Sender {
  private long number;

  public static void main(String[] args) {
    for (int i = 1; i < args.length; i++) new Sender().send(args[0], args[i]);
  }

  private static LogRecordExporter open(String protocol, String endpoint) {
    if (protocol.equals("grpc"))
      return OtlpGrpcLogRecordExporter.builder().setEndpoint("http://" + endpoint).build();
    return OtlpHttpLogRecordExporter.builder()
        .setEndpoint("http://" + endpoint + "/v1/logs")
        .setCompression("gzip")
        .build();
  }

  private LogRecordBuilder next(Logger logger) {
    LogRecordBuilder record =
        logger
            .logRecordBuilder()
            .setTimestamp(1_700_000_000_123_456_789L + number, TimeUnit.NANOSECONDS)
            .setObservedTimestamp(1_700_000_001_987_654_321L + number, TimeUnit.NANOSECONDS);
    number++;
    return record;
  }

  private void send(String protocol, String endpoint) {
    Resource about =
        Resource.create(
            Attributes.builder()
                .put("service.name", "java-" + protocol)
                .put("rack.slots", 1L, 2L, 3L)
                .put("rack.open", true)
                .build(),
            "https://opentelemetry.io/schemas/1.37.0");
    SdkLoggerProvider provider =
        SdkLoggerProvider.builder()
            .setResource(about)
            .addLogRecordProcessor(BatchLogRecordProcessor.builder(open(protocol, endpoint)).build())
            .build();
    Logger logger =
        provider
            .loggerBuilder("lab.arm")
            .setInstrumentationVersion("2.1.0")
            .setSchemaUrl("https://opentelemetry.io/schemas/1.36.0")
            .build();

    next(logger)
        .setSeverity(Severity.INFO)
        .setSeverityText("INFO")
        .setBody("Übergabe ✓ of plate 7")
        .setAttribute(AttributeKey.stringKey("plate.barcode"), "P-7")
        .setAttribute(AttributeKey.stringKey("empty"), "")
        .setAttribute(AttributeKey.longKey("large"), 9007199254740993L)
        .setAttribute(AttributeKey.longKey("small"), Long.MIN_VALUE)
        .setAttribute(AttributeKey.doubleKey("ratio"), 0.1)
        .setAttribute(AttributeKey.doubleKey("whole"), 3.0)
        .setAttribute(AttributeKey.booleanKey("open"), false)
        .setAttribute(AttributeKey.stringArrayKey("list"), List.of("one", "", "two"))
        .emit();

    next(logger)
        .setSeverity(Severity.ERROR3)
        .setSeverityText("severe")
        .setBody(
            Value.of(
                KeyValue.of("step", Value.of("grip")),
                KeyValue.of("image", Value.of(new byte[] {0, (byte) 255, 16})),
                KeyValue.of("mixed", Value.of(Value.of(1L), Value.of("two"), Value.of(true))),
                KeyValue.of(
                    "at",
                    Value.of(
                        KeyValue.of("x", Value.of(Double.NaN)),
                        KeyValue.of("y", Value.of(Double.NEGATIVE_INFINITY))))))
        .setAttribute(AttributeKey.doubleArrayKey("ratios"), List.of(0.5, Double.POSITIVE_INFINITY, -0.0))
        .emit();

    next(logger).setEventName("device.ready").setAttribute(AttributeKey.stringKey("node"), "arm").emit();

    SpanContext span =
        SpanContext.create(
            "0af7651916cd43dd8448eb211c80319c",
            "b7ad6b7169203331",
            TraceFlags.getSampled(),
            TraceState.getDefault());
    next(logger)
        .setSeverity(Severity.WARN)
        .setBody("within a span")
        .setContext(Context.root().with(Span.wrap(span)))
        .emit();

    for (int i = 0; i < 2; i++) {
      number = 4;
      next(logger).setBody("said twice").emit();
    }

    provider
        .loggerBuilder("")
        .build()
        .logRecordBuilder()
        .setObservedTimestamp(1_700_000_001_987_654_326L, TimeUnit.NANOSECONDS)
        .setBody(Value.of(42L))
        .emit();

    for (int i = 0; i < 25; i++)
      logger
          .logRecordBuilder()
          .setTimestamp(1_700_000_100L, TimeUnit.SECONDS)
          .setObservedTimestamp(1_700_000_100L, TimeUnit.SECONDS)
          .setBody("pump tick")
          .emit();
    provider.shutdown().join(30, TimeUnit.SECONDS);
  }
}
