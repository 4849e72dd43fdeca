// Sends the odd and the equal records by OpenTelemetry's SDK for Go: `sender http|grpc HOST:PORT ...`.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
)

func main() {
	protocol := os.Args[1]
	for _, endpoint := range os.Args[2:] {
		if err := send(protocol, endpoint); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func open(ctx context.Context, protocol, endpoint string) (sdklog.Exporter, error) {
	if protocol == "grpc" {
		return otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(endpoint), otlploggrpc.WithInsecure())
	}
	return otlploghttp.New(ctx, otlploghttp.WithEndpoint(endpoint), otlploghttp.WithInsecure(),
		otlploghttp.WithCompression(otlploghttp.GzipCompression))
}

func send(protocol, endpoint string) error {
	ctx := context.Background()
	exporter, err := open(ctx, protocol, endpoint)
	if err != nil {
		return err
	}
	about := resource.NewWithAttributes("https://opentelemetry.io/schemas/1.37.0",
		attribute.String("service.name", "go-"+protocol),
		attribute.Int64Slice("rack.slots", []int64{1, 2, 3}),
		attribute.Bool("rack.open", true))
	provider := sdklog.NewLoggerProvider(
		sdklog.WithResource(about),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	logger := provider.Logger("lab.arm", log.WithInstrumentationVersion("2.1.0"),
		log.WithSchemaURL("https://opentelemetry.io/schemas/1.36.0"))
	number := int64(0)
	next := func() log.Record {
		var record log.Record
		record.SetTimestamp(time.Unix(1_700_000_000, 123_456_789+number))
		record.SetObservedTimestamp(time.Unix(1_700_000_001, 987_654_321+number))
		number++
		return record
	}

	plain := next()
	plain.SetSeverity(log.SeverityInfo)
	plain.SetSeverityText("INFO")
	plain.SetBody(attribute.StringValue("Übergabe ✓ of plate 7"))
	plain.AddAttributes(attribute.String("plate.barcode", "P-7"), attribute.String("empty", ""), attribute.Int64("large", 9007199254740993),
		attribute.Int64("small", math.MinInt64), attribute.Float64("ratio", 0.1), attribute.Float64("whole", 3), attribute.Bool("open", false))
	logger.Emit(ctx, plain)

	odd := next()
	odd.SetSeverity(log.SeverityError3)
	odd.SetSeverityText("severe")
	odd.SetBody(attribute.MapValue(attribute.String("step", "grip"), attribute.Map("at", attribute.Float64("x", math.NaN()), attribute.Float64("y", math.Inf(-1)))))
	odd.AddAttributes(attribute.ByteSlice("image", []byte{0, 255, 16}), attribute.Slice("mixed", attribute.Int64Value(1), attribute.StringValue("two"), attribute.BoolValue(true)),
		attribute.KeyValue{Key: "nothing"}, attribute.Map("a.b", attribute.Map("c", attribute.Int64("d", 1))), attribute.Map("hollow"))
	logger.Emit(ctx, odd)

	named := next()
	named.SetEventName("device.ready")
	named.AddAttributes(attribute.String("node", "arm"))
	logger.Emit(ctx, named)

	traceID, _ := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	spanID, _ := trace.SpanIDFromHex("b7ad6b7169203331")
	within := trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled}))
	traced := next()
	traced.SetSeverity(log.SeverityWarn)
	traced.SetBody(attribute.StringValue("within a span"))
	logger.Emit(within, traced)

	same := next()
	same.SetBody(attribute.StringValue("said twice"))
	logger.Emit(ctx, same)
	logger.Emit(ctx, same)

	undated := next()
	undated.SetTimestamp(time.Time{})
	undated.SetBody(attribute.Int64Value(42))
	provider.Logger("").Emit(ctx, undated)

	for i := 0; i < 25; i++ {
		line := next()
		line.SetTimestamp(time.Unix(1_700_000_100, 0))
		line.SetObservedTimestamp(time.Unix(1_700_000_100, 0))
		line.SetBody(attribute.StringValue("pump tick"))
		logger.Emit(ctx, line)
	}
	return provider.Shutdown(ctx)
}
