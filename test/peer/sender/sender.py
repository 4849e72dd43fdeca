"""Sends the odd and the equal records by OpenTelemetry's SDK for Python: `sender.py http|grpc HOST:PORT ...`."""
import math
import sys

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context


def open_exporter(protocol, endpoint):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

        return OTLPLogExporter(endpoint=endpoint, insecure=True)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter(endpoint=f"http://{endpoint}/v1/logs", compression=Compression.Gzip)


def send(protocol, endpoint):
    about = {"service.name": f"python-{protocol}", "rack.slots": [1, 2, 3], "rack.open": True}
    provider = LoggerProvider(resource=Resource(about, "https://opentelemetry.io/schemas/1.37.0"))
    provider.add_log_record_processor(BatchLogRecordProcessor(open_exporter(protocol, endpoint)))
    logger = provider.get_logger("lab.arm", "2.1.0", "https://opentelemetry.io/schemas/1.36.0", {"rack": 7})
    number = 0

    def emit(**fields):
        nonlocal number
        times = {"timestamp": 1_700_000_000_123_456_789 + number, "observed_timestamp": 1_700_000_001_987_654_321 + number}
        number += 1
        logger.emit(LogRecord(**{**times, **fields}))

    emit(
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        body="Übergabe ✓ of plate 7",
        attributes={
            "plate.barcode": "P-7",
            "empty": "",
            "large": 9007199254740993,
            "small": -(2**63),
            "ratio": 0.1,
            "whole": 3.0,
            "open": False,
        },
    )
    emit(
        severity_number=SeverityNumber.ERROR3,
        severity_text="severe",
        body={"step": "grip", "at": {"x": math.nan, "y": -math.inf}},
        attributes={"image": b"\x00\xff\x10", "mixed": [1, "two", True], "a.b": {"c": {"d": 1}}, "hollow": {}, "none": []},
    )
    emit(event_name="device.ready", attributes={"node": "arm"})
    span = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, False, TraceFlags(TraceFlags.SAMPLED))
    emit(
        severity_number=SeverityNumber.WARN,
        body="within a span",
        context=set_span_in_context(NonRecordingSpan(span)),
    )
    for _ in range(2):
        number = 4
        emit(body="said twice")
    emit(timestamp=None, body=42)
    for _ in range(25):
        emit(timestamp=1_700_000_100_000_000_000, observed_timestamp=1_700_000_100_000_000_000, body="pump tick")
    provider.shutdown()


for endpoint in sys.argv[2:]:
    send(sys.argv[1], endpoint)
